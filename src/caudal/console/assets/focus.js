// The sensor in focus: its figures, its histogram with the ranges' edges, its band power over time.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const C = window.caudal;

  C.drawHistogram = (sheet, one, edges) => {
    const context = sheet.begin();
    if (!context) return;
    const counts = one?.ranges || [];
    if (!counts.length) return nothing(context, sheet, "No ranges are declared.");
    const total = counts.reduce((sum, count) => sum + count, 0) || 1, wide = sheet.width / counts.length;
    C.bars(context, 0, 16, sheet.width, sheet.height - 34, counts);
    context.textAlign = "center";
    context.fillStyle = C.colours.quiet;
    const most = Math.max(...counts, 1);
    counts.forEach((count, place) => {
      if (!count || wide < 26) return;
      const share = (100 * count) / total, high = Math.max(2, ((sheet.height - 34) * count) / most);
      context.fillText(`${share < 1 ? share.toFixed(1) : Math.round(share)} %`, (place + 0.5) * wide, sheet.height - 22 - high);
    });
    if (!edges) return;
    // As many edges are named as there is room for; the outermost always.
    const every = Math.ceil(48 / wide);
    edges.forEach((edge, place) => {
      if (place % every && place !== edges.length - 1) return;
      if (place !== edges.length - 1 && edges.length - 1 - place < every && place % every === 0 && place > 0) return;
      context.fillText(C.number(edge), (place + 1) * wide, sheet.height - 4);
    });
  };

  C.drawPowers = (sheet, windows, from, to) => {
    const context = sheet.begin();
    if (!context) return;
    const seen = windows.filter((one) => C.powered(one) && one.window_end >= from && one.window_end <= to + 1);
    const names = Object.keys(seen.at(-1)?.bands || {});
    if (!names.length) return nothing(context, sheet, "No bands are declared.");
    const right = sheet.width - 58, bottom = sheet.height - 18;
    const shares = seen.map((one) => {
      const total = names.reduce((sum, name) => sum + (one.bands[name] || 0), 0) || 1;
      return names.map((name) => (one.bands[name] || 0) / total);
    });
    const most = Math.min(1, Math.ceil(Math.max(...shares.flat(), 0.05) * 10) / 10);
    // The last window is still open: it ends later than the newest reading.
    const x = (at) => 34 + ((Math.min(at, to) - from) / (to - from)) * (right - 34), y = (share) => bottom - (share / most) * (bottom - 8);
    context.strokeStyle = C.colours.line;
    context.fillStyle = C.colours.quiet;
    context.lineWidth = 1;
    for (const share of [0, most / 2, most]) {
      context.textAlign = "right";
      context.fillText(`${Math.round(100 * share)} %`, 30, y(share) + 4);
      context.beginPath();
      context.moveTo(34, Math.round(y(share)) + 0.5);
      context.lineTo(right, Math.round(y(share)) + 0.5);
      context.stroke();
    }
    context.textAlign = "center";
    for (const at of C.ticks(from, to, right - 34)) {
      if (x(at) > 60 && x(at) < right - 20) context.fillText(C.clock(at), x(at), sheet.height - 3);
    }
    lines(context, seen, shares, names, x, y);
    labels(context, shares.at(-1), names, right, y, bottom);
  };

  function lines(context, seen, shares, names, x, y) {
    context.lineWidth = 1.75;
    names.forEach((_, band) => {
      context.strokeStyle = C.colours.series[band % 6];
      context.beginPath();
      shares.forEach((share, place) => context[place ? "lineTo" : "moveTo"](x(seen[place].window_end), y(share[band])));
      context.stroke();
    });
  }

  // Each line has its name at its end; names that would lie on one another are moved apart.
  function labels(context, last, names, right, y, bottom) {
    const places = names.map((name, band) => ({ name, band, y: y(last[band]) })).sort((a, b) => a.y - b.y);
    places.forEach((one, index) => {
      if (index) one.y = Math.max(one.y, places[index - 1].y + 12);
    });
    for (let index = places.length - 1; index >= 0; index -= 1) {
      places[index].y = Math.min(places[index].y, index === places.length - 1 ? bottom + 4 : places[index + 1].y - 12);
    }
    context.textAlign = "left";
    for (const one of places) {
      context.fillStyle = C.colours.series[one.band % 6];
      context.fillRect(right + 4, one.y - 4, 6, 6);
      context.fillStyle = C.colours.ink;
      context.fillText(one.name, right + 13, one.y + 3);
    }
  }

  function nothing(context, sheet, text) {
    context.fillStyle = C.colours.quiet;
    context.textAlign = "left";
    context.fillText(text, 0, sheet.height / 2);
  }

  C.sensorFigures = (one) =>
    !one
      ? []
      : [
          ["Readings", C.number(one.count)],
          ["Lowest", C.number(one.min)],
          ["Mean", C.number(one.mean)],
          ["Highest", C.number(one.max)],
          ["Deviation", C.number(one.std)],
          ...Object.entries(one.quantiles || {})
            .sort(([a], [b]) => a - b)
            .map(([share, value]) => [`${C.number(100 * share)} % quantile`, C.number(value)]),
        ];
})();

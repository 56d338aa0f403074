// The drawings of all sensors: signal, statistics, ranges and bands in rows of one height; time and classes along the signal.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const C = window.caudal;
  const PAD = 4; // pixels above and below a curve in its row

  C.ROW = 44;
  C.GUTTER = 44; // left of the curves, for the scale's figures

  const columns = { many: 0 };
  function room(many) {
    if (!columns.low || columns.low.length < many) {
      for (const name of ["low", "high", "sum", "count"]) columns[name] = new Float32Array(many + 64);
    }
    columns.many = many;
    return columns;
  }

  // Return where times lie along a drawing whose newest time is at its right edge.
  const along = (sheet, from, to, left) => (at) => left + ((at - from) / (to - from)) * (sheet.width - left);

  // Return a sensor's scale: most of what is seen, so that one artefact does not flatten the rest; it moves softly.
  function scaled(scale, columns) {
    const lows = [], highs = [];
    for (let index = 0; index < columns.many; index += 1) {
      if (columns.count[index]) {
        lows.push(columns.low[index]);
        highs.push(columns.high[index]);
      }
    }
    if (!lows.length) return scale;
    lows.sort((a, b) => a - b);
    highs.sort((a, b) => a - b);
    let low = lows[Math.floor(lows.length * 0.02)], high = highs[Math.ceil(highs.length * 0.98) - 1];
    const space = (high - low) * 0.12 || Math.abs(high) * 0.01 || 1;
    low -= space;
    high += space;
    if (!scale || !(scale.high > scale.low)) return { low, high };
    const close = Math.abs(low - scale.low) + Math.abs(high - scale.high) < 0.02 * (scale.high - scale.low);
    return close ? scale : { low: scale.low + 0.25 * (low - scale.low), high: scale.high + 0.25 * (high - scale.high) };
  }

  function row(context, index, left, right, draw) {
    const top = index * C.ROW;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, C.ROW);
    context.clip();
    draw(top, (value, scale) => top + C.ROW - PAD - ((value - scale.low) / (scale.high - scale.low)) * (C.ROW - 2 * PAD));
    context.restore();
  }

  function rules(context, sheet, rows) {
    context.strokeStyle = C.colours.line;
    context.lineWidth = 1;
    context.beginPath();
    for (let index = 1; index < rows; index += 1) {
      context.moveTo(0, index * C.ROW + 0.5);
      context.lineTo(sheet.width, index * C.ROW + 0.5);
    }
    context.stroke();
  }

  C.drawSignals = (sheet, what) => {
    const context = sheet.begin();
    if (!context) return;
    const { ring, device, shown, from, to, scales } = what;
    const space = sheet.width - C.GUTTER, many = Math.max(20, Math.floor(space / 2)), wide = space / many;
    rules(context, sheet, shown.length);
    grid(context, sheet, from, to);
    const [first, end] = sheet.visible(shown.length, C.ROW);
    for (let index = first; index < end; index += 1) {
      const sensor = shown[index], seen = room(many);
      if (ring) ring.columns(sensor, from, to, seen);
      else seen.count.fill(0);
      const scale = (scales[sensor] = scaled(scales[sensor], seen));
      if (!scale) continue;
      row(context, index, C.GUTTER, sheet.width, (top, y) => {
        curve(context, seen, wide, ring, to - from, (value) => y(value, scale));
        marks(context, device.anomalies, sensor, top, along(sheet, from, to, C.GUTTER), from);
      });
      limits(context, scale, index * C.ROW);
    }
  };

  function curve(context, seen, wide, ring, span, y) {
    // A gap is drawn as a gap, but points that are further apart than columns are joined.
    const most = Math.max(2, Math.ceil((4 * ring.step * seen.many) / span));
    const pieces = [], x = (index) => C.GUTTER + (index + 0.5) * wide;
    let piece = null;
    for (let index = 0; index < seen.many; index += 1) {
      if (!seen.count[index]) continue;
      if (!piece || index - piece[piece.length - 1] > most) pieces.push((piece = []));
      piece.push(index);
    }
    context.fillStyle = C.colours.band;
    context.beginPath();
    for (const one of pieces) {
      one.forEach((index, place) => context[place ? "lineTo" : "moveTo"](x(index), y(seen.high[index]) - 0.5));
      for (let place = one.length - 1; place >= 0; place -= 1) context.lineTo(x(one[place]), y(seen.low[one[place]]) + 0.5);
      context.closePath();
    }
    context.fill();
    context.strokeStyle = C.colours.mean;
    context.lineWidth = 1.25;
    context.beginPath();
    for (const one of pieces) {
      one.forEach((index, place) => context[place ? "lineTo" : "moveTo"](x(index), y(seen.sum[index] / seen.count[index])));
    }
    context.stroke();
  }

  // An anomaly is told by its form as well as by its colour.
  function marks(context, anomalies, sensor, top, x, from) {
    context.fillStyle = context.strokeStyle = C.colours.anomaly;
    context.lineWidth = 1;
    for (let index = anomalies.length - 1; index >= 0; index -= 1) {
      const one = anomalies[index];
      if (one.at < from) continue;
      const everyone = one.sensor === null || one.sensor === undefined;
      if (!everyone && one.sensor !== sensor) continue;
      const place = x(one.at);
      context.setLineDash(everyone ? [3, 3] : []);
      context.beginPath();
      context.moveTo(place, top + 8);
      context.lineTo(place, top + C.ROW);
      context.stroke();
      context.beginPath();
      context.moveTo(place - 5, top + 1);
      context.lineTo(place + 5, top + 1);
      context.lineTo(place, top + 9);
      context.fill();
    }
    context.setLineDash([]);
  }

  function limits(context, scale, top) {
    context.textAlign = "right";
    context.fillStyle = C.colours.quiet;
    context.fillText(C.number(scale.high), C.GUTTER - 6, top + 13);
    context.fillText(C.number(scale.low), C.GUTTER - 6, top + C.ROW - 5);
  }

  C.drawStatistics = (sheet, what) => {
    const context = sheet.begin();
    if (!context) return;
    const { device, shown, from, to, scales } = what;
    rules(context, sheet, shown.length);
    const [first, end] = sheet.visible(shown.length, C.ROW);
    for (let index = first; index < end; index += 1) {
      const sensor = shown[index], windows = device.windows.get(sensor) || [], scale = scales[sensor];
      if (!scale) continue;
      row(context, index, 0, sheet.width, (_, y) => {
        const x = along(sheet, from, to, 0);
        const seen = windows.filter((one) => one.window_end >= from && one.window_start <= to);
        const parts = seen.map((one, place) => {
          // Sliding windows overlap: each is drawn from the end of the one before it on.
          const begin = place ? Math.max(one.window_start, seen[place - 1].window_end) : one.window_start;
          return [x(begin), Math.max(x(one.window_end) - x(begin) - 1, 1), one];
        });
        context.fillStyle = C.colours.band;
        for (const [at, wide, one] of parts) context.fillRect(at, y(one.max, scale), wide, Math.max(1, y(one.min, scale) - y(one.max, scale)));
        context.fillStyle = C.colours.quantiles;
        for (const [at, wide, one] of parts) {
          const [low, high] = spread(one);
          if (low !== null) context.fillRect(at, y(high, scale), wide, Math.max(1, y(low, scale) - y(high, scale)));
        }
        context.fillStyle = C.colours.mean;
        for (const [at, wide, one] of parts) if (one.mean !== null) context.fillRect(at, y(one.mean, scale) - 1, wide, 2);
      });
    }
  };

  // The outermost quantiles, or a deviation to each side where none are told.
  function spread(one) {
    const told = Object.keys(one.quantiles || {}).sort((a, b) => a - b);
    if (told.length > 1) return [one.quantiles[told[0]], one.quantiles[told.at(-1)]];
    return one.std === null || one.std === undefined || one.mean === null ? [null, null] : [one.mean - one.std, one.mean + one.std];
  }

  C.latest = (device, sensor) => (device.windows.get(sensor) || []).at(-1);
  // Power is known of a window that is whole, not of the one that is still open.
  C.powered = (one) => Object.values(one.bands || {}).some((power) => power !== null);
  C.latestPowers = (device, sensor) => (device.windows.get(sensor) || []).findLast(C.powered)?.bands || {};

  C.drawRanges = (sheet, what) => {
    const context = sheet.begin();
    if (!context) return;
    rules(context, sheet, what.shown.length);
    const [first, end] = sheet.visible(what.shown.length, C.ROW);
    for (let index = first; index < end; index += 1) {
      const counts = C.latest(what.device, what.shown[index])?.ranges;
      if (counts?.length) bars(context, 4, index * C.ROW + 4, sheet.width - 8, C.ROW - 8, counts);
    }
  };

  // Bars of counts: the first and the last, outside all ranges, stand apart and have a colour of their own.
  function bars(context, left, top, width, height, counts) {
    const most = Math.max(...counts, 1), apart = 4, wide = (width - 2 * apart) / counts.length;
    counts.forEach((count, place) => {
      const outside = place === 0 || place === counts.length - 1;
      const x = left + place * wide + (place === 0 ? 0 : place === counts.length - 1 ? 2 * apart : apart);
      const high = count ? Math.max(2, (height * count) / most) : 1;
      context.fillStyle = count ? (outside ? C.colours.outside : C.colours.inside) : C.colours.line;
      context.fillRect(x, top + height - high, Math.max(1, wide - 1), high);
    });
  }
  C.bars = bars;

  C.drawBands = (sheet, what) => {
    const context = sheet.begin();
    if (!context) return;
    rules(context, sheet, what.shown.length);
    const [first, end] = sheet.visible(what.shown.length, C.ROW);
    context.textAlign = "center";
    for (let index = first; index < end; index += 1) {
      const bands = Object.entries(C.latestPowers(what.device, what.shown[index]));
      const most = Math.max(...bands.map(([, power]) => power || 0), 1e-30), wide = (sheet.width - 8) / (bands.length || 1);
      bands.forEach(([name, power], place) => {
        const high = ((C.ROW - 22) * (power || 0)) / most, x = 4 + place * wide;
        context.fillStyle = C.colours.series[place % 6];
        context.fillRect(x + 1, index * C.ROW + C.ROW - 16 - high, Math.max(1, Math.min(wide - 3, 18)), high);
        context.fillStyle = C.colours.quiet;
        context.fillText(C.letter(name), x + 1 + Math.min(wide - 3, 18) / 2, index * C.ROW + C.ROW - 5);
      });
    }
  };

  C.ticks = (from, to, width, apart = 76) => {
    const rough = ((to - from) * apart) / width;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((one) => one >= rough) || 300;
    const found = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
    return found;
  };

  function grid(context, sheet, from, to) {
    context.strokeStyle = C.colours.line;
    context.globalAlpha = 0.6;
    context.beginPath();
    const place = along(sheet, from, to, C.GUTTER);
    for (const at of C.ticks(from, to, sheet.width - C.GUTTER)) {
      const x = Math.round(place(at)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, sheet.height);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  C.drawAxis = (sheet, { from, to }) => {
    const context = sheet.begin();
    if (!context) return;
    context.fillStyle = C.colours.quiet;
    context.textAlign = "center";
    const place = along(sheet, from, to, C.GUTTER);
    for (const at of C.ticks(from, to, sheet.width - C.GUTTER)) {
      const x = place(at);
      if (x > 24 && x < sheet.width - 24) context.fillText(C.clock(at), x, 14);
    }
  };

  // Classes as a ribbon: what it is called, and as high as it is probable.
  C.drawClasses = (sheet, { device, source, from, to }) => {
    const context = sheet.begin();
    if (!context) return;
    const x = along(sheet, from, to, C.GUTTER), list = device.classes, runs = [];
    let begin = list.length - 1;
    while (begin > 0 && list[begin].at > from) begin -= 1;
    for (let index = Math.max(0, begin); index < list.length; index += 1) {
      const one = list[index], until = list[index + 1]?.at ?? to;
      const left = Math.round(Math.max(C.GUTTER, x(one.at))), right = Math.round(Math.min(sheet.width, x(Math.min(until, one.at + 10))));
      if (right <= left) continue;
      const high = Math.max(3, (sheet.height - 2) * (one.probability ?? 1));
      context.fillStyle = C.colours.series[source.labels.indexOf(one.label) % 6];
      context.globalAlpha = 0.35;
      context.fillRect(left, sheet.height - high, right - left, high);
      context.globalAlpha = 1;
      context.fillRect(left, sheet.height - high, right - left, 2);
      const run = runs.at(-1);
      if (run && run.label === one.label && left - run.right < 2) run.right = right;
      else runs.push({ label: one.label, left, right });
    }
    context.fillStyle = C.colours.ink;
    context.textAlign = "left";
    for (const run of runs) {
      if (context.measureText(run.label).width + 10 < run.right - run.left) context.fillText(run.label, run.left + 5, sheet.height - 8);
    }
  };
})();

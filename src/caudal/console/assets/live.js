// The live view: takes each update, draws once a frame what came, and says how the stream is.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const C = window.caudal;
  const HISTORY_S = 60, TEXT_EVERY_MS = 250, LABELS_EVERY_MS = 5000, STOPPED_AFTER_S = 5, MOST_LOGGED = 5000;

  const view = { choice: null, spanS: 30, chosen: null, focus: 0, paused: false, edge: null, scales: {}, connection: "connecting", why: "" };
  let store = null, sheets = null, frame = 0, pending = [], textAt = 0, labelsAt = 0, last = null, onScreenMs = null;
  C.view = view;

  // For whoever measures: number, when it was made, came and was on the screen (ms since 1970), and how many were drawn with it.
  C.log = [];
  const painted = new MessageChannel();
  painted.port1.onmessage = (event) => {
    const now = performance.timeOrigin + performance.now();
    for (const one of event.data) {
      C.log.push([...one, now, event.data.length]);
      onScreenMs = now - one[1];
    }
    if (C.log.length > MOST_LOGGED) C.log.splice(0, C.log.length - MOST_LOGGED);
  };

  C.start = (product) => {
    store = new C.Store();
    document.getElementById("product").value = product;
    C.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      C.readColours();
      document.getElementById("phases").dataset.names = "";
      again();
    });
    const make = (name, height) => new C.Sheet(name, height, again);
    sheets = {
      classes: make("classes", 30), signal: make("signal", 0), statistics: make("statistics", 0), ranges: make("ranges", 0),
      bands: make("bands", 0), axis: make("axis", 20), histogram: make("histogram", 150), powers: make("powers", 170),
    };
    addEventListener("scroll", again, { passive: true });
    setInterval(condition, 500);
    C.follower = new C.Follower(product, HISTORY_S, {
      update: taken,
      again: () => {
        store = new C.Store();
        view.edge = null;
        view.scales = {};
      },
      state: (connection, why = "") => {
        Object.assign(view, { connection, why });
        condition();
      },
    });
  };

  function taken(number, update) {
    const came = performance.timeOrigin + performance.now();
    store.take(update);
    last = update;
    if (view.paused) return;
    pending.push([number, update.at * 1000, came]);
    again();
  }

  function again() {
    if (!frame) frame = requestAnimationFrame(draw);
  }
  C.again = again;

  function draw(now) {
    frame = 0;
    const what = store?.chosen(view.choice);
    if (!what || !sheets) return;
    document.getElementById("empty").hidden = true;
    offerChoices(what);
    const { source, device, ring } = what;
    const shown = source.sensors.map((_, sensor) => sensor).filter((sensor) => !view.chosen || view.chosen.has(source.sensors[sensor]));
    if (!shown.includes(view.focus)) view.focus = shown[0] ?? 0;
    const newest = Math.max(ring?.newest ?? -Infinity, device.classes.at(-1)?.at ?? -Infinity, C.latest(device, view.focus)?.window_end ?? -Infinity);
    if (!view.paused || view.edge === null) view.edge = ring ? ring.newest : newest;
    const to = Number.isFinite(view.edge) ? view.edge : Date.now() / 1000;
    const drawn = { ...what, shown, from: to - view.spanS, to, scales: view.scales };
    for (const name of ["signal", "statistics", "ranges", "bands"]) sheets[name].height = shown.length * C.ROW;
    C.drawSignals(sheets.signal, drawn);
    C.drawStatistics(sheets.statistics, drawn);
    C.drawRanges(sheets.ranges, drawn);
    C.drawBands(sheets.bands, drawn);
    C.drawClasses(sheets.classes, drawn);
    C.drawAxis(sheets.axis, drawn);
    if (now - textAt >= TEXT_EVERY_MS) {
      textAt = now;
      texts(what, shown, newest, drawn);
    }
    // The message is handled once the frame has gone out.
    if (pending.length) painted.port2.postMessage(pending);
    pending = [];
  }

  function texts({ source, device, ring }, shown, newest, drawn) {
    C.headline(source, newest);
    C.names(shown, source, ring, view.focus, (sensor) => {
      view.focus = sensor;
      textAt = 0;
      again();
    });
    if (!view.paused) {
      C.classification(device, source);
      C.anomalies(device, source);
      C.phases(source);
    }
    C.sensor(source, device, view.focus);
    C.drawHistogram(sheets.histogram, C.latest(device, view.focus), source.edges);
    C.drawPowers(sheets.powers, device.windows.get(view.focus) || [], drawn.from, drawn.to);
    C.say("sensors-shown", `${shown.length} of ${source.sensors.length}`);
    if (performance.now() - labelsAt > LABELS_EVERY_MS) {
      labelsAt = performance.now();
      labels(source, device, shown);
    }
  }

  // What the drawings show, in words.
  function labels(source, device, shown) {
    const said = shown.map((sensor) => {
      const one = C.latest(device, sensor);
      return one ? `${source.sensors[sensor]} mean ${C.number(one.mean)}, ${C.number(one.min)} to ${C.number(one.max)}` : source.sensors[sensor];
    });
    sheets.signal.canvas.setAttribute("aria-label", `Signal of the last ${view.spanS} seconds. ${said.join("; ")}.`);
    const one = C.latest(device, view.focus);
    if (one?.ranges) sheets.histogram.canvas.setAttribute("aria-label", `Readings by range: ${one.ranges.join(", ")}`);
    const bands = Object.entries(C.latestPowers(device, view.focus));
    if (bands.length) {
      sheets.powers.canvas.setAttribute("aria-label", `Band power: ${bands.map(([name, power]) => `${name} ${C.number(power)}`).join(", ")}`);
    }
  }

  // The controls learn from the stream which devices and sensors there are.
  function offerChoices({ source, key }) {
    const choices = store.choices(), told = choices.map((one) => one.value).join("\n");
    if (view.choices !== told) {
      view.choices = told;
      const list = document.getElementById("stream");
      list.replaceChildren(...choices.map((one) => new Option(one.label, one.value)));
      list.value = `${source.name}|${key}`;
    }
    const sensors = source.sensors.join("\n");
    if (view.sensors !== sensors) {
      view.sensors = sensors;
      view.all = source.sensors;
      window.dash_clientside.set_props("sensors", { options: source.sensors, value: source.sensors });
    }
  }

  // How the stream is: live, paused, stopped since when, or not to be reached.
  function condition() {
    const tag = document.getElementById("state-tag");
    if (!tag) return;
    const now = Date.now() / 1000 + (C.follower?.clockS ?? 0), age = last ? now - last.at : null;
    let name = "connecting", text = "";
    if (view.connection === "lost") {
      name = "reconnecting";
      text = `${view.why}${last ? ` Last update at ${C.clock(last.at)} UTC.` : ""}`;
    } else if (last && !C.follower.current) {
      text = `Reading what came since ${C.clock(last.at)} UTC.`;
    } else if (last && age > STOPPED_AFTER_S) {
      name = "stopped";
      const day = C.day(last.at) === C.day(now) ? "" : `${C.day(last.at)} `;
      text = `since ${day}${C.clock(last.at)} UTC, ${C.seconds(Math.round(age))} ago`;
    } else if (view.paused) {
      name = "paused";
      text = "Updates go on being kept; nothing is lost.";
    } else if (last) {
      name = "live";
      text = `update ${C.number(C.follower.last)}${onScreenMs === null ? "" : `, on screen ${C.number(Math.round(Math.max(0, onScreenMs)))} ms after it was made`}`;
    } else if (view.connection === "open") {
      text = "No update yet.";
    }
    if (last && C.follower.missed) text += `; ${C.number(C.follower.missed)} updates had gone before they could be read`;
    C.say("state-tag", name);
    tag.className = `tag ${{ live: "good", reconnecting: "bad" }[name] ?? ""}`;
    C.say("state-text", text);
  }

  C.pause = (paused) => {
    view.paused = paused;
    const button = document.getElementById("pause");
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Go on" : "Pause";
    condition();
    again();
  };

  C.device = (choice) => {
    view.choice = choice;
    view.scales = {};
    textAt = 0;
    again();
  };

  C.choose = (spanS, sensors) => {
    view.spanS = spanS;
    view.chosen = view.sensors === undefined ? null : new Set(sensors);
    textAt = 0;
    again();
  };
})();

// Everything that is text: headline figures, classes, anomalies, a batch's time. Written four times a second at most.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const C = window.caudal;
  const at = (name) => document.getElementById(name);

  // Only what differs is written, so that screen readers and the browser's layout are left in peace.
  C.say = (name, text) => {
    const place = at(name);
    if (place && place.textContent !== text) place.textContent = text;
  };
  C.show = (name, shown) => {
    const place = at(name);
    if (place && place.hidden === shown) place.hidden = !shown;
  };

  C.headline = (source, newest) => {
    const update = source.update, latency = update.latency_s || {};
    C.say("figure-rate", C.number(Math.round(update.rate ?? NaN)));
    C.say("note-rate", `readings/s, ${C.number(update.total ?? 0)} in all`);
    C.say("figure-p50", C.seconds(latency.p50));
    C.say("figure-p95", C.seconds(latency.p95));
    const behind = update.watermark === null || update.watermark === undefined ? null : newest - update.watermark;
    C.say("figure-watermark", behind === null || !Number.isFinite(behind) ? "–" : C.seconds(Math.max(0, behind)));
    C.say("note-watermark", behind === null ? "none yet" : `behind the newest reading, at ${C.clock(update.watermark)}`);
    C.say("figure-state", C.bytes(update.state?.bytes ?? 0));
    C.say("note-state", `${C.number(update.state?.windows ?? 0)} open windows`);
    for (const name of ["late", "duplicates", "unreadable"]) {
      C.say(`figure-${name}`, C.number(update[name] ?? 0));
      at(`figure-${name}`).classList.toggle("some", (update[name] ?? 0) > 0);
    }
  };

  C.classification = (device, source) => {
    const last = device.classes.at(-1);
    C.show("class-none", !last);
    C.show("class-some", Boolean(last));
    C.say("class-now", last ? `Class: ${last.label}` : "");
    if (!last) return;
    const share = last.probability === null || last.probability === undefined ? "" : ` ${Math.round(100 * last.probability)} %`;
    C.say("class-label", last.label + share);
    at("class-label").style.setProperty("--class", C.colours.series[source.labels.indexOf(last.label) % 6]);
    at("class-meter").value = last.probability ?? 1;
    C.say("class-model", `by ${last.model ?? "a model"}${last.version === null || last.version === undefined ? "" : `, version ${last.version}`}`);
    C.say(
      "class-truth",
      device.judged
        ? `${Math.round((100 * device.right) / device.judged)} % of ${C.number(device.judged)} with a known label were right.`
        : "No label has arrived to judge by yet.",
    );
  };

  C.anomalies = (device, source) => {
    const last = device.anomalies.slice(-8).reverse();
    C.show("anomaly-none", !last.length);
    C.say("anomaly-count", device.anomalyCount ? `${C.number(device.anomalyCount)} seen` : "");
    const rows = last.map((one) => [
      C.clock(one.at),
      one.sensor === null || one.sensor === undefined ? "all" : (source.sensors[one.sensor] ?? String(one.sensor)),
      C.number(one.score, 3),
      one.detector ?? "",
    ]);
    const told = rows.map((row) => row.join(" ")).join("\n"), body = at("anomaly-rows");
    if (body.dataset.told === told) return;
    body.dataset.told = told;
    body.replaceChildren(
      ...rows.map((row) => {
        const line = document.createElement("tr");
        row.forEach((text, place) => {
          const cell = document.createElement("td");
          cell.textContent = text;
          if (place === 2) cell.className = "num";
          line.append(cell);
        });
        return line;
      }),
    );
  };

  C.phases = (source) => {
    const phases = Object.entries(source.seconds || {});
    if (!phases.length) return C.say("phases-note", "The stream does not tell.");
    const total = phases.reduce((sum, [, seconds]) => sum + seconds, 0) || 1, place = at("phases");
    const names = phases.map(([name]) => name).join("\n");
    if (place.dataset.names !== names) {
      place.dataset.names = names;
      place.replaceChildren(
        ...phases.map(([name], index) => {
          const line = document.createElement("div");
          line.className = "phase";
          line.innerHTML = '<span class="name"></span><span class="bar"><i></i></span><span class="num"></span>';
          line.firstChild.textContent = name;
          line.querySelector("i").style.background = C.colours.series[index % 6];
          return line;
        }),
      );
    }
    phases.forEach(([, seconds], index) => {
      const line = place.children[index];
      line.querySelector("i").style.width = `${(100 * seconds) / total}%`;
      line.lastChild.textContent = C.seconds(seconds);
    });
    C.say("phases-note", `Batch ${C.number(source.update.batch ?? 0)}: ${C.seconds(total)} for ${C.number(source.update.read ?? 0)} readings${(source.update.workers ?? 1) > 1 ? ` by ${source.update.workers} workers` : ""}`);
  };

  C.names = (shown, source, ring, focus, choose) => {
    const place = at("names"), told = shown.map((sensor) => source.sensors[sensor]).join("\n");
    if (place.dataset.told !== told) {
      place.dataset.told = told;
      place.replaceChildren(
        ...shown.map((sensor) => {
          const button = document.createElement("button");
          button.type = "button";
          button.dataset.sensor = sensor;
          button.innerHTML = "<b></b><span></span>";
          button.firstChild.textContent = source.sensors[sensor];
          button.addEventListener("click", () => choose(sensor));
          button.addEventListener("keydown", (event) => {
            const next = event.key === "ArrowDown" ? button.nextSibling : event.key === "ArrowUp" ? button.previousSibling : null;
            if (!next) return;
            event.preventDefault();
            next.focus();
            choose(Number(next.dataset.sensor));
          });
          return button;
        }),
      );
    }
    for (const button of place.children) {
      const sensor = Number(button.dataset.sensor);
      button.setAttribute("aria-pressed", String(sensor === focus));
      button.lastChild.textContent = ring ? C.number(ring.last(sensor)) : "";
    }
  };

  C.sensor = (source, device, focus) => {
    const one = C.latest(device, focus), place = at("focus-figures"), figures = C.sensorFigures(one);
    C.say("focus-name", source.sensors[focus] === undefined ? "Sensor" : `Sensor ${source.sensors[focus]}`);
    C.say("focus-window", one ? `window ${C.clock(one.window_start)} to ${C.clock(one.window_end)} UTC` : "no window yet");
    const names = figures.map(([name]) => name).join("\n");
    if (place.dataset.names !== names) {
      place.dataset.names = names;
      place.replaceChildren(
        ...figures.map(([name]) => {
          const pair = document.createElement("div"), term = document.createElement("dt");
          term.textContent = name;
          pair.append(term, document.createElement("dd"));
          return pair;
        }),
      );
    }
    figures.forEach(([, text], index) => (place.children[index].lastChild.textContent = text));
  };
})();

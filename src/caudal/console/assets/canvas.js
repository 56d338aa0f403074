// Canvases that follow their place's size and the screen's resolution; colours of the system's scheme; numbers and times as text.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const C = window.caudal;
  const NAMES = ["ink", "quiet", "line", "paper", "soft", "mean", "band", "quantiles", "anomaly", "outside", "inside"];

  // The style sheet says what the colours are, for light and dark; a change of scheme reads them again.
  C.colours = {};
  C.readColours = () => {
    const style = getComputedStyle(document.documentElement);
    for (const name of NAMES) C.colours[name] = style.getPropertyValue(`--${name}`).trim();
    C.colours.series = [0, 1, 2, 3, 4, 5].map((index) => style.getPropertyValue(`--series-${index}`).trim());
  };

  C.FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

  C.Sheet = class {
    constructor(name, height, changed) {
      this.canvas = document.getElementById(`canvas-${name}`);
      this.context = this.canvas.getContext("2d");
      this.place = this.canvas.parentElement;
      this.height = height;
      this.width = this.place.clientWidth;
      new ResizeObserver(() => {
        this.width = this.place.clientWidth;
        changed();
      }).observe(this.place);
    }

    // Return the context, cleared, in CSS pixels; null where the place is hidden.
    begin() {
      if (!this.width || !this.height) return null;
      const ratio = window.devicePixelRatio || 1;
      const wide = Math.round(this.width * ratio), high = Math.round(this.height * ratio);
      if (this.canvas.width !== wide || this.canvas.height !== high) {
        this.canvas.width = wide;
        this.canvas.height = high;
        this.canvas.style.height = `${this.height}px`;
      }
      const context = this.context;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, this.width, this.height);
      context.font = C.FONT;
      context.lineJoin = "round";
      return context;
    }

    // Return the rows of a height that the window shows: what is scrolled away is not drawn.
    visible(rows, height) {
      const top = this.canvas.getBoundingClientRect().top;
      return [Math.max(0, Math.floor(-top / height)), Math.min(rows, Math.ceil((window.innerHeight - top) / height))];
    }
  };

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const digits = [3, 4].map((most) => new Intl.NumberFormat("en", { maximumSignificantDigits: most }));

  C.number = (value, most = 4) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (Number.isInteger(value) && Math.abs(value) < 1e7) return whole.format(value).replace("-", "−");
    for (const [size, name] of [[1e9, " G"], [1e6, " M"]]) {
      if (Math.abs(value) >= size) return digits[most - 3].format(value / size).replace("-", "−") + name;
    }
    if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential(1).replace("-", "−");
    return digits[most - 3].format(value).replace("-", "−");
  };

  C.seconds = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (value < 0.9995) return `${C.number(Math.round(value * 1000))} ms`;
    if (value < 99.5) return `${value.toFixed(value < 9.95 ? 2 : 1)} s`;
    if (value < 7200) return `${Math.round(value / 60)} min`;
    return value < 172800 ? `${Math.round(value / 3600)} h` : `${C.number(Math.round(value / 86400))} days`;
  };

  C.bytes = (value) => {
    let size = value, unit = 0;
    while (size >= 1024 && unit < 4) { size /= 1024; unit += 1; }
    return `${C.number(size, 3)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
  };

  C.clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
  C.day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);

  const GREEK = { delta: "δ", theta: "θ", alpha: "α", beta: "β", gamma: "γ", mu: "μ" };
  C.letter = (band) => GREEK[band] || band.slice(0, 2);
})();

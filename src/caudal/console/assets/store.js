// What has come of a product's streams: signals in rings, statistics by window, anomalies, classes.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const C = window.caudal;
  const MOST_POINTS = 40000; // two minutes of ten updates a second with 32 points each
  const BACK_S = 10, BACK_UPDATES = 3;
  const MOST_WINDOWS = 600, MOST_ANOMALIES = 500, MOST_CLASSES = 4000;

  // Signal points of one device: times, and for each sensor lowest, highest and mean; the oldest make room.
  class Ring {
    constructor(sensors) {
      this.room = MOST_POINTS;
      this.times = new Float64Array(this.room);
      this.low = new Float32Array(this.room * sensors);
      this.high = new Float32Array(this.room * sensors);
      this.mean = new Float32Array(this.room * sensors);
      this.sensors = sensors;
      this.next = 0;
      this.size = 0;
      this.newest = -Infinity;
      this.step = 0; // usual seconds between points
    }

    push(at, low, high, mean) {
      const place = this.next;
      this.times[place] = at;
      for (let sensor = 0; sensor < this.sensors; sensor += 1) {
        const cell = sensor * this.room + place;
        this.low[cell] = low[sensor] ?? NaN; // null is missing, and would become 0
        this.high[cell] = high[sensor] ?? NaN;
        this.mean[cell] = mean[sensor] ?? NaN;
      }
      const gap = at - this.newest;
      if (gap > 0 && gap < 60) this.step = this.step ? Math.min(this.step * 0.98 + gap * 0.02, gap * 20) : gap;
      this.newest = Math.max(this.newest, at);
      this.next = (place + 1) % this.room;
      this.size = Math.min(this.size + 1, this.room);
    }

    // Fill columns of equal time with lowest, highest and mean of the points in them; NaN where there are none.
    columns(sensor, from, to, columns) {
      const { low, high, sum, count, many } = columns;
      low.fill(Infinity, 0, many);
      high.fill(-Infinity, 0, many);
      sum.fill(0, 0, many);
      count.fill(0, 0, many);
      const scale = many / (to - from), base = sensor * this.room;
      for (let index = 1; index <= this.size; index += 1) {
        const place = (this.next - index + this.room) % this.room;
        const at = this.times[place];
        if (at < from) {
          if (at < from - 5) break; // points come nearly in order
          continue;
        }
        const column = Math.min(many - 1, Math.floor((at - from) * scale)), mean = this.mean[base + place];
        if (column < 0 || at > to || Number.isNaN(mean)) continue;
        if (this.low[base + place] < low[column]) low[column] = this.low[base + place];
        if (this.high[base + place] > high[column]) high[column] = this.high[base + place];
        sum[column] += mean;
        count[column] += 1;
      }
    }

    last(sensor) {
      return this.size ? this.mean[sensor * this.room + ((this.next - 1 + this.room) % this.room)] : NaN;
    }
  }

  // What is known of one device of one source.
  class Device {
    constructor() {
      this.windows = new Map(); // sensor → statistics, by the end of their windows
      this.anomalies = [];
      this.classes = [];
      this.anomalyCount = 0;
      this.right = 0;
      this.judged = 0;
    }

    statistics(one) {
      if (!this.windows.has(one.sensor)) this.windows.set(one.sensor, []);
      const list = this.windows.get(one.sensor);
      let place = list.length;
      while (place > 0 && list[place - 1].window_end > one.window_end) place -= 1;
      // A window that is still open is told again as it fills.
      for (let before = place - 1; before >= 0 && list[before].window_end === one.window_end; before -= 1) {
        if (list[before].window_start === one.window_start) {
          list[before] = one;
          return;
        }
      }
      list.splice(place, 0, one);
      if (list.length > MOST_WINDOWS) list.shift();
    }

    anomaly(one) {
      this.anomalyCount += 1;
      keep(this.anomalies, one, MOST_ANOMALIES);
    }

    classified(one) {
      // A label that arrives later comes with the class it judges; the two are told apart by time.
      const known = this.classes.findLast((before) => before.at === one.at);
      const judged = (what) => what && what.actual !== null && what.actual !== undefined && !what.learned; // to know what was learned is no merit
      if (judged(one) && !judged(known)) {
        this.judged += 1;
        this.right += one.actual === one.label ? 1 : 0;
      }
      if (known) Object.assign(known, one);
      else keep(this.classes, one, MOST_CLASSES);
    }
  }

  C.Store = class {
    constructor() {
      this.sources = new Map();
    }

    take(update) {
      const name = update.source ?? "";
      if (!this.sources.has(name)) {
        this.sources.set(name, { name, sensors: [], rings: new Map(), devices: new Map(), rates: [], latencies: [], labels: [] });
      }
      const source = this.sources.get(name);
      if (update.sensors && update.sensors.join("\n") !== source.sensors.join("\n")) {
        source.sensors = update.sensors;
        source.rings.clear(); // other sensors: another signal
      }
      source.update = update;
      if (update.edges) source.edges = update.edges;
      if (update.seconds) source.seconds = update.seconds;
      keep(source.rates, update.rate ?? NaN, 120);
      keep(source.latencies, update.latency_s?.p95 ?? NaN, 120);
      this.#signal(source, update.signal);
      for (const one of update.statistics || []) this.device(source, one.device).statistics(one);
      for (const one of update.anomalies || []) this.device(source, one.device).anomaly(one);
      for (const one of update.classes || []) {
        // In one order, so that a class has the same colour whichever came first.
        if (!source.labels.includes(one.label)) source.labels = [...source.labels, one.label].sort();
        this.device(source, one.device).classified(one);
      }
      return source;
    }

    #signal(source, signal) {
      if (!signal || !signal.at || !signal.at.length) return;
      const key = signal.device ?? null;
      this.#replayed(source, source.rings.get(key), signal.at);
      if (!source.rings.has(key)) source.rings.set(key, new Ring(source.sensors.length));
      const ring = source.rings.get(key);
      signal.at.forEach((at, point) => ring.push(at, signal.low[point], signal.high[point], signal.mean[point]));
      if (key !== null) this.device(source, key);
    }

    // A recording that is played again goes back in time, and stays there; what was drawn then makes room. One late batch does not.
    #replayed(source, ring, times) {
      const back = ring && Math.max(...times) < ring.newest - BACK_S;
      source.back = back ? (source.back ?? 0) + 1 : 0;
      if (source.back < BACK_UPDATES) return;
      source.back = 0;
      source.rings.clear();
      source.devices.clear();
    }

    device(source, number) {
      const key = number ?? 0;
      if (!source.devices.has(key)) source.devices.set(key, new Device());
      return source.devices.get(key);
    }

    // Return source, device and signal of a choice such as "samples|0"; the first of each when the choice is not there.
    chosen(choice) {
      const [name, number] = (choice ?? "|").split("|");
      // Unless somebody has chosen: the source with most sensors, the first of those; labels are no signal to look at.
      const source = this.sources.get(name) ?? [...this.sources.values()].sort((a, b) => b.sensors.length - a.sensors.length)[0];
      if (!source) return null;
      const key = source.devices.has(Number(number)) ? Number(number) : (source.devices.keys().next().value ?? 0);
      const ring = source.rings.get(key) ?? source.rings.get(null) ?? null;
      return { source, device: source.devices.get(key) ?? new Device(), ring, key };
    }

    choices() {
      const found = [];
      for (const source of this.sources.values()) {
        const devices = source.devices.size ? [...source.devices.keys()].sort((a, b) => a - b) : [0];
        for (const device of devices) found.push({ value: `${source.name}|${device}`, label: this.sources.size > 1 ? `${source.name}, device ${device}` : `device ${device}` });
      }
      return found;
    }
  };

  function keep(list, one, most) {
    list.push(one);
    if (list.length > most) list.splice(0, list.length - most);
  }
})();

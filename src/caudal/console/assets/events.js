// The feed of a product as server-sent events: each update once and in order, through restarts of the server and sleeping tabs.
"use strict";

window.caudal = window.caudal || {};

(() => {
  const SILENT_MS = 4000; // the server says something every second

  window.caudal.Follower = class {
    // told: update(number, update), again(), state(name, text)
    constructor(product, historyS, told) {
      this.address = `/api/v1/live/${encodeURIComponent(product)}/events`;
      this.historyS = historyS;
      this.told = told;
      this.last = 0;
      this.missed = 0;
      this.clockS = 0; // the server's clock less this one's
      this.retries = 0;
      document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
      setInterval(() => this.#watch(), 1000);
      if (!document.hidden) this.open();
    }

    open() {
      this.close();
      // What was last is told in the address too: only the browser's own attempts send it as a header.
      const query = this.last ? `after=${this.last}` : `history=${this.historyS}`;
      const source = new EventSource(`${this.address}?${query}`);
      this.source = source;
      this.heard = Date.now();
      this.current = false; // until the history is over
      source.onopen = () => {
        this.heard = Date.now();
        this.retries = 0;
        this.told.state("open");
      };
      source.onmessage = (event) => this.#update(event);
      source.addEventListener("idle", (event) => {
        this.heard = Date.now();
        this.current = true;
        this.clockS = JSON.parse(event.data).now - Date.now() / 1000;
      });
      source.addEventListener("again", () => {
        this.last = 0;
        this.told.again();
      });
      source.onerror = () => {
        this.told.state("lost", "The console's server does not answer.");
        if (source.readyState === EventSource.CLOSED) this.#ask(source); // refused, and not tried again by the browser
      };
    }

    close() {
      if (this.source) this.source.close();
      this.source = null;
      clearTimeout(this.later);
    }

    #update(event) {
      const number = Number(event.lastEventId);
      this.heard = Date.now();
      if (number <= this.last) return;
      if (this.last) this.missed += number - this.last - 1;
      this.last = number;
      this.told.update(number, JSON.parse(event.data));
    }

    #watch() {
      if (!this.source || this.source.readyState !== EventSource.OPEN || Date.now() - this.heard < SILENT_MS) return;
      this.told.state("lost", "The console's server is silent.");
      this.open();
    }

    // A refusal says why; the page says it too, and tries again.
    async #ask(source) {
      this.retries += 1;
      this.later = setTimeout(() => this.source === source && this.open(), Math.min(500 * 2 ** this.retries, 8000));
      try {
        const answer = await fetch(this.address, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(2000) });
        if (answer.status === 401) return location.reload(); // signed out: the page leads to the sign-in
        if (!answer.ok) this.told.state("lost", (await answer.json()).what);
        else answer.body.cancel();
      } catch {
        // Still away; what was told stays true.
      }
    }
  };
})();

// What Dash calls in the browser when a control is used.
"use strict";

document.addEventListener("change", ({ target }) => {
  if (target.id === "product") location.assign(`/live/${encodeURIComponent(target.value)}`);
  if (target.id === "stream") window.caudal.device(target.value);
});

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  live: {
    follow(product) {
      if (product && !window.caudal.follower) window.caudal.start(product);
      return window.dash_clientside.no_update;
    },
    choose(span, sensors) {
      window.caudal.choose(span, sensors ?? []);
      return window.dash_clientside.no_update;
    },
    pause(clicks) {
      if (clicks) window.caudal.pause(clicks % 2 === 1);
      return window.dash_clientside.no_update;
    },
    every(clicks) {
      if (clicks) window.dash_clientside.set_props("sensors", { value: window.caudal.view.all ?? [] });
      return window.dash_clientside.no_update;
    },
    none(clicks) {
      if (clicks) window.dash_clientside.set_props("sensors", { value: [] });
      return window.dash_clientside.no_update;
    },
  },
});

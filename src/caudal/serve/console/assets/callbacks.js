// What Dash calls in the browser when a control is used.
"use strict";

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  live: {
    follow(product) {
      const shown = document.getElementById("live")?.dataset.product;
      if (product && shown && product !== shown) location.assign(`/live/${encodeURIComponent(product)}`);
      else if (product && shown && !window.caudal.follower) window.caudal.start(product);
      return window.dash_clientside.no_update;
    },
    choose(choice, span, sensors) {
      window.caudal.choose(choice ?? null, span, sensors ?? []);
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

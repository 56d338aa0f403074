// Sends what a form of the API page shows, and shows what comes back.
"use strict";

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { method, path } = form.dataset;
    const body = form.querySelector("textarea");
    const answer = form.querySelector(".answer");
    const line = answer.querySelector(".line");
    const button = form.querySelector("button");
    button.disabled = true;
    const started = performance.now();
    try {
      const response = await fetch(path, {
        method,
        headers: body ? { "Content-Type": "application/json", Accept: "application/json" } : { Accept: "application/json, text/plain" },
        body: body ? body.value : undefined,
      });
      const text = await response.text();
      line.textContent = `${response.status} ${response.statusText} in ${(performance.now() - started).toFixed(0)} ms`;
      line.className = response.ok ? "line good" : "line bad";
      answer.querySelector("code").textContent = pretty(text);
    } catch (error) {
      line.textContent = `No answer: ${error.message}`;
      line.className = "line bad";
      answer.querySelector("code").textContent = "";
    }
    answer.hidden = false;
    button.disabled = false;
  });
}

// A link from a model leads to its group; its first operation is opened.
const group = document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (group && group.nextElementSibling) group.nextElementSibling.open = true;

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

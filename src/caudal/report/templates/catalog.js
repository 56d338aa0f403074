(() => {
  const box = document.querySelector(".find input"), list = document.querySelector(".find ol"), root = document.documentElement.dataset.root;
  const all = window.CATALOG || [];
  let at = -1;
  const rank = (entry, words) => {
    const name = entry[2].toLowerCase(), whole = (entry[1] + " " + entry[2] + " " + entry[3]).toLowerCase();
    if (!words.every((word) => whole.includes(word))) return 9;
    const last = words[words.length - 1];
    return name === last ? 0 : name.startsWith(last) ? 1 : name.includes(last) ? 2 : 3;
  };
  const show = () => {
    const words = box.value.toLowerCase().split(/[\s.]+/).filter(Boolean);
    list.replaceChildren();
    list.hidden = !words.length;
    box.setAttribute("aria-expanded", String(!list.hidden));
    at = -1;
    if (!words.length) return;
    const found = all.map((entry) => [rank(entry, words), entry]).filter(([order]) => order < 9).sort((a, b) => a[0] - b[0]).slice(0, 40);
    for (const [, [kind, where, name, about, href]] of found) {
      const item = document.createElement("li"), link = document.createElement("a"), mark = document.createElement("span");
      mark.className = "kind " + kind;
      mark.textContent = kind;
      link.href = root + href;
      link.append(mark, " ", where ? where + "." : "", Object.assign(document.createElement("strong"), { textContent: name }));
      if (about) link.append(Object.assign(document.createElement("div"), { className: "soft", textContent: about }));
      item.append(link);
      list.append(item);
    }
    if (!found.length) list.append(Object.assign(document.createElement("li"), { className: "none", textContent: "Nothing is called so." }));
  };
  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll("li:not(.none)")];
    if (event.key === "Escape") { box.value = ""; show(); }
    if (event.key === "Enter" && items.length) location.href = items[Math.max(at, 0)].querySelector("a").href;
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    at = Math.max(0, Math.min(items.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
    items.forEach((item, number) => item.classList.toggle("at", number === at));
    items[at]?.scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".find")) list.hidden = true; });
  const toggle = (button, open) => {
    button.setAttribute("aria-expanded", String(open));
    button.closest("tr").classList.toggle("open", open);
    document.getElementById(button.getAttribute("aria-controls")).hidden = !open;
  };
  const buttons = document.querySelectorAll(".columns button");
  for (const button of buttons) {
    toggle(button, false);
    button.addEventListener("click", () => toggle(button, button.getAttribute("aria-expanded") !== "true"));
  }
  const named = () => {
    const row = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const button = row && row.matches("tr") && row.querySelector("button");
    if (button) { toggle(button, true); row.scrollIntoView({ block: "center" }); }
  };
  addEventListener("hashchange", named);
  named();
})();

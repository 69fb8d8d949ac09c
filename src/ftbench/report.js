"use strict";
// Everything here adds to a page that can be read without it: sorting, filtering, folding, and series that stand out.
(() => {
  const every = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const made = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // ---- Sorting: numbers by what they mean, whatever their unit; dashes last in either direction; the third press restores the order.
  const UNITS = { kB: 1e3, MB: 1e6, GB: 1e9, s: 1, min: 60, h: 3600, k: 1e3, M: 1e6, B: 1e9 };
  const NUMBER = /^(<\s*)?([+\u2212-]?)(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+(?:e[+-]?\d+)?)\s*(kB|MB|GB|min|h|s|k|M|B)?(?![A-Za-z])(.*)$/;
  const empty = (text) => text === "" || text === "\u2013" || text === "-";
  const number = (text) => {
    const found = NUMBER.exec(text);
    if (!found) return null;
    const [, below, sign, digits, unit, rest] = found;
    let value = Number(digits.replaceAll(",", "")) * (UNITS[unit] || 1);
    const smaller = /^\s*(\d+)\s*(min|s)\b/.exec(rest); // 4 min 05 s
    if (smaller && (unit === "h" || unit === "min")) value += Number(smaller[1]) * UNITS[smaller[2]];
    if (below) value -= 1e-12;
    return sign && sign !== "+" ? -value : value;
  };
  const collator = new Intl.Collator("en", { numeric: true });
  const sort = (table, header, column) => {
    const body = table.tBodies[0];
    const next = { ascending: "descending", descending: null }[header.getAttribute("aria-sort")];
    const direction = next === undefined ? "ascending" : next;
    for (const other of every("th[aria-sort]", table)) other.removeAttribute("aria-sort");
    if (direction) header.setAttribute("aria-sort", direction);
    const rows = [...body.rows].map((row) => ({ row, text: row.cells[column].textContent.trim() }));
    const numeric = rows.every(({ text }) => empty(text) || number(text) !== null);
    const turn = direction === "descending" ? -1 : 1;
    const compare = (a, b) =>
      empty(a.text) - empty(b.text) ||
      (empty(a.text) ? 0 : turn * (numeric ? number(a.text) - number(b.text) : collator.compare(a.text, b.text))) ||
      a.row.dataset.place - b.row.dataset.place;
    rows.sort(direction ? compare : (a, b) => a.row.dataset.place - b.row.dataset.place);
    body.append(...rows.map(({ row }) => row));
  };
  for (const table of every("table")) {
    [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = made("button", { type: "button" }, ...header.childNodes);
      button.addEventListener("click", () => sort(table, header, column));
      header.append(button);
    });
  }

  // ---- Filtering: one field above every part with more than a dozen rows, and a choice for every column that asks for one.
  const MANY = 12;
  const filter = (part, anchor) => {
    const tables = every("table", part);
    const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
    if (rows.length <= MANY) return;
    const valueOf = (row, name) => {
      const headers = [...row.closest("table").tHead.rows[0].cells];
      const place = headers.findIndex((cell) => "filter" in cell.dataset && cell.textContent.trim() === name);
      return place < 0 ? "" : row.cells[place].textContent.trim();
    };
    const words = made("input", { type: "search", autocomplete: "off", spellcheck: false });
    const choices = [...new Set(every("th[data-filter]", part).map((cell) => cell.textContent.trim()))].flatMap((name) => {
      const values = [...new Set(rows.map((row) => valueOf(row, name)))].filter((value) => value !== "");
      if (values.length < 2) return [];
      return { name, select: made("select", {}, made("option", { value: "" }, "all"), ...values.map((one) => made("option", { value: one }, one))) };
    });
    const shown = made("output", {});
    const apply = () => {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let number = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !(wanted.every((word) => text.includes(word)) && choices.every(({ name, select }) => !select.value || valueOf(row, name) === select.value));
        number += !row.hidden;
      }
      const active = wanted.length > 0 || choices.some(({ select }) => select.value !== "");
      for (const table of tables) table.closest(".scroll").hidden = active && [...table.tBodies[0].rows].every((row) => row.hidden);
      shown.value = `${number} of ${rows.length} rows`;
    };
    words.addEventListener("input", apply);
    for (const { select } of choices) select.addEventListener("change", apply);
    const bar = made("div", { className: "tools" }, made("label", {}, "Show rows with ", words));
    bar.append(...choices.map(({ name, select }) => made("label", {}, `${name} `, select)), shown);
    anchor.after(bar);
    apply();
  };
  for (const part of every(".part")) if (!part.closest("#ledger")) filter(part, part.querySelector("summary"));
  for (const section of every("#ledger")) filter(section, section.querySelector("summary"));

  // ---- Folding: studies and long parts start folded; a link, a search of the browser and printing unfold what they need.
  const folds = every("details");
  const reveal = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    if (!target) return;
    for (let one = target.querySelector(":scope > details") || target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    target.scrollIntoView();
  };
  for (const one of folds) one.open = !one.matches("section > details, .long");
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => { if (event.target.closest?.("a[href^='#']")) setTimeout(reveal); });
  let before = null;
  addEventListener("beforeprint", () => { before = folds.map((one) => one.open); for (const one of folds) one.open = true; });
  addEventListener("afterprint", () => { if (before) folds.forEach((one, place) => { one.open = before[place]; }); before = null; });
  const all = made("button", { type: "button" }, "Unfold everything");
  all.addEventListener("click", () => {
    const open = folds.some((one) => !one.open);
    for (const one of folds) one.open = open;
    all.textContent = open ? "Fold everything" : "Unfold everything";
  });
  document.querySelector("nav")?.after(made("div", { className: "tools" }, all));
  reveal();

  // ---- Figures: a series stands out while a pointer rests on it, or for as long as it is chosen below the figure.
  for (const figure of every("figure")) {
    const drawing = figure.querySelector("svg");
    const groups = drawing ? every("[data-series]", drawing) : [];
    const names = [...new Set(groups.map((group) => group.dataset.series))];
    if (names.length < 2) continue;
    const chosen = made("select", {}, made("option", { value: "" }, "all alike"), ...names.map((name) => made("option", { value: name }, name)));
    const show = (name) => {
      drawing.classList.toggle("picked", name !== "");
      for (const group of groups) group.classList.toggle("on", group.dataset.series === name);
    };
    for (const group of groups) {
      group.addEventListener("pointerenter", () => show(group.dataset.series));
      group.addEventListener("pointerleave", () => show(chosen.value));
    }
    chosen.addEventListener("change", () => show(chosen.value));
    figure.after(made("div", { className: "tools" }, made("label", {}, "Highlight ", chosen)));
  }
})();

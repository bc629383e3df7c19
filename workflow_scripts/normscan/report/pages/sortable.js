
"use strict";
// Tables sort by a click on a heading, with mouse or keyboard.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((heading, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const numeric = heading.classList.contains("numeric");
      const before = heading.getAttribute("aria-sort");
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const order = before === null ? first : before === first ? second : null;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      if (order) heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => {
        const cell = row.cells[place];
        return cell.dataset.value ?? (cell.firstChild?.textContent ?? "").trim();
      };
      const missing = (row) => numeric && row.cells[place].dataset.value === undefined;
      const sorted = order ? [...original].sort((a, b) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return sign * (numeric ? key(a) - key(b) : key(a).localeCompare(key(b), "en", {numeric: true}));
      }) : original;
      body.append(...sorted);
    });
  });
}
// A link to what is folded opens it.
function unfold() {
  let part = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const target = part;
  for (; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  target?.scrollIntoView();
}
addEventListener("hashchange", unfold);
if (location.hash) unfold();
// What is folded would be missing on paper.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((part) => { part.open = true; });
});
addEventListener("afterprint", () => folded.forEach((part) => { part.open = false; }));

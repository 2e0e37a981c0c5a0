// What pages are made of. Everything that comes from elsewhere goes in as text,
// never as HTML.

/** el makes an element: el("td", {class: "number"}, "12"). A property that is a function listens: {click: send}. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

/** table has one row an item. Columns: {title, cell(item) → text or node, number: right-aligned}. */
export function table(columns, items, empty) {
  if (items.length === 0) return el("p", { class: "empty" }, empty);
  const kind = (column) => ({ class: column.number ? "number" : undefined });
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, columns.map((column) => el("th", kind(column), column.title)))),
    el("tbody", {}, items.map((item) => el("tr", {}, columns.map((column) => el("td", kind(column), column.cell(item))))))));
}

/** facts are names and what they are; those without a value are left out. */
export function facts(pairs) {
  return el("dl", {}, pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** section has a heading, and what can be done about its subject. */
export function section(title, actions, ...children) {
  return el("section", {}, el("div", { class: "heading" }, el("h2", {}, title), el("div", { class: "actions" }, actions)), ...children);
}

export function button(text, click, kind = "") {
  return el("button", { type: "button", class: kind, click }, text);
}

/** problem shows an error where a page, or a part of one, would be. */
export function problem(error) {
  return el("p", { class: "problem", role: "alert" }, error.message);
}

let works = 0;

/** working does a piece of work, while which the page says that it is busy. */
export async function working(work) {
  works++;
  document.body.setAttribute("aria-busy", "true");
  try {
    return await work();
  } finally {
    if (--works === 0) document.body.removeAttribute("aria-busy");
  }
}

/** count groups digits by thousands, of a whole number. */
export function count(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** quantities are usage by dimension, in words. */
export function quantities(usage) {
  return Object.keys(usage ?? {}).sort().map((name) => `${name} ${count(usage[name])}`).join(", ");
}

/** save hands the browser a file. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

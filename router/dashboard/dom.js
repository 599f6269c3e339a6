// Elements and texts. What comes from the network only ever becomes a text node or an attribute of our own choice,
// never markup.

function fill(node, attributes, children) {
  set(node, attributes);
  node.append(...children); // strings become text nodes
  return node;
}

export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const element = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

export const drawn = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

// Calls f when the width has changed. In a frame of its own: what f draws may change the width again.
export function onWidth(node, f) {
  let width = node.clientWidth;
  new ResizeObserver(() => requestAnimationFrame(() => {
    if (node.clientWidth === width) return;
    width = node.clientWidth;
    f();
  })).observe(node);
}

export const byId = (id) => document.getElementById(id);

export function rows(table, lines) {
  table.tBodies[0].replaceChildren(
    ...lines.map((cells) => element("tr", {}, ...cells.map((text) => element("td", {}, text)))));
}

// --- numbers as people read them ---

function scaled(value, step, units) {
  let k = 0;
  while (value >= step && k < units.length - 1) value /= step, ++k;
  const digits = value >= 100 || (k === 0 && Number.isInteger(value)) ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") + units[k];
}

const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
export const count = (x) => (isNumber(x) ? scaled(x, 1000, ["", "k", "M", "G"]) : "-");
export const rate = (x) => (isNumber(x) ? count(x) + "/s" : "-");
export const bytes = (x) => (isNumber(x) ? scaled(x, 1024, [" B", " KiB", " MiB", " GiB"]) : "-");
// Never rounded up: 999 of 1,000 are not all.
export const share = (x) => (isNumber(x) ? `${Math.floor(x * 1000 + 1e-6) / 10} %` : "-");
export const micros = (x) => (isNumber(x) ? scaled(x, 1000, [" µs", " ms", " s"]) : "-");

export function span(seconds) {
  if (!isNumber(seconds)) return "-";
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function clock(date) {
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

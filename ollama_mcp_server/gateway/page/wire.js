// What the page says to the server, and small things of the document. Texts become text nodes only.

const KEY = "ollama-mcp-server.key";

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Ask the server; a refusal of any of its dialects becomes a Refusal. */
export async function ask(path, { body, signal } = {}) {
  const headers = key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
  const told = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { ...told, headers, signal, cache: "no-store" });
  if (response.ok) return response;
  const text = await response.text();
  throw new Refusal(response.status, words(text) || `the server answered ${response.status}`);
}

function words(text) {
  try {
    const { error } = JSON.parse(text);
    if (typeof error === "string") return error;
    return [error?.message, error?.hint].filter(Boolean).join(". ");
  } catch {
    return text.slice(0, 300);
  }
}

/** Yield what stands between two ends, as it comes. */
export async function* pieces(response, end) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split(end);
      rest = parts.pop();
      yield* parts;
    }
    if (rest.trim()) yield rest;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

export const find = (id) => document.getElementById(id);

/** Make an element: attributes by name, then children, of which texts stay texts. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Make a table whose cells also know their column's name; it stays a table where it is stacked. */
export function table(label, columns, rows) {
  const kind = (column) => (column.number ? { class: "number" } : {});
  return make("table", { role: "table", "aria-label": label },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...columns.map((column) =>
      make("th", { scope: "col", role: "columnheader", ...kind(column) }, column.name)))),
    make("tbody", { role: "rowgroup" }, ...rows.map((row) =>
      make("tr", { role: "row" }, ...columns.map((column) =>
        make("td", { role: "cell", "data-name": column.name, ...kind(column) }, column.cell(row) ?? "–"))))));
}

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const [unit, size] = number >= 1e9 ? ["GB", 1e9] : ["MB", 1e6];
  return `${(number / size).toFixed(unit === "GB" ? 1 : 0)} ${unit}`;
}

/** How long ago, or how far ahead, a moment is. */
export function away(moment) {
  const seconds = (Date.parse(moment) - Date.now()) / 1000;
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.abs(seconds);
  const [number, unit] = size < 90 ? [size, "s"] : size < 5400 ? [size / 60, "min"]
    : size < 129600 ? [size / 3600, "h"] : [size / 86400, "d"];
  if (number > 9999) return "never";
  return seconds > 0 ? `in ${Math.round(number)} ${unit}` : `${Math.round(number)} ${unit} ago`;
}

// What is going on: requests with their speed, models in memory, MCP servers.

import { away, bytes, find, make, table } from "./wire.js";

const MINUTE = 60;
const speeds = new Array(MINUTE).fill(0);
let before = null;
const shown = new Map();
const phases = { asking: "loading, reading", working: "using tools" };

/** Show a status that the server tells. */
export function show(status) {
  const { daemon } = status;
  find("state").className = `dot ${daemon.error ? "bad" : "good"}`;
  set("daemon-text", daemon.error
    ? `Ollama at ${daemon.url}: ${daemon.error}` : `Ollama ${daemon.version} at ${daemon.url}`);
  set("version", status.version);
  measure(status.written);
  queue(status.queue);
  part("requests", status.requests, requests);
  part("models", status.models, models);
  part("servers", [status.servers, status.servers_error], servers);
}

/** Say that nothing is known any more. */
export function lost(why) {
  find("state").className = "dot bad";
  set("daemon-text", why);
  before = null;
}

function set(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

/** Make a part anew, if what it shows has changed. */
function part(id, told, draw) {
  const text = JSON.stringify(told);
  if (shown.get(id) === text && id !== "models") return;
  shown.set(id, text);
  const place = find(id);
  const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.id));
  const focused = place.contains(document.activeElement) ? document.activeElement.closest("details")?.id : null;
  place.replaceChildren(...[draw(told)].flat());
  for (const name of open) if (find(name)) find(name).open = true;
  if (focused) find(focused)?.querySelector("summary").focus();
}

const empty = (text) => make("p", { class: "muted" }, text);

function requests(rows) {
  if (!rows.length) return empty("None is being answered.");
  return table("Requests being answered", [
    { name: "Model", cell: (row) => row.model ?? row.route },
    { name: "Phase", cell: (row) => phases[row.phase] ?? row.phase },
    { name: "By", cell: (row) => row.caller },
    { name: "Time", number: true, cell: (row) => `${row.seconds.toFixed(0)} s` },
    { name: "Tokens", number: true, cell: (row) => String(row.tokens) },
    { name: "Tokens/s", number: true, cell: (row) => row.tokens_per_second?.toFixed(0) },
  ], rows);
}

function models(rows) {
  if (!rows.length) return empty("None is loaded; one is when it is asked.");
  return table("Models in memory", [
    { name: "Model", cell: (row) => row.name },
    { name: "Memory", number: true, cell: (row) => bytes(row.size) },
    { name: "Of it GPU", number: true, cell: (row) => bytes(row.size_vram) },
    { name: "Context", number: true, cell: (row) => row.context_length?.toLocaleString("en") },
    { name: "Leaves", number: true, cell: (row) => away(row.expires_at) },
  ], rows);
}

function servers([rows, error]) {
  if (error) return make("p", { class: "bad" }, error);
  if (!rows) return empty("Shown to keys with the scope agent.");
  if (!rows.length) return empty("None is configured.");
  return rows.map(server);
}

function server(row) {
  const [kind, state] = {
    up: ["good", "up"], down: ["bad", "down"], idle: ["", "idle"],
  }[row.state] ?? ["", "not used yet"];
  const since = row.since ? `${state} for ${away(row.since).replace(" ago", "")}` : state;
  const tools = row.tools ?? [];
  return make("div", { class: "server" },
    make("p", {}, make("span", { class: `dot ${kind}` }), make("strong", {}, row.name),
      make("span", { class: kind || "muted" }, since),
      make("span", { class: "muted" }, row.enabled ? "enabled" : "when named")),
    row.description ? make("p", { class: "muted" }, row.description) : null,
    row.error ? make("p", { class: "bad" }, row.error) : null,
    tools.length ? make("details", { id: `tools-of-${row.name}` },
      make("summary", {}, `${tools.length} tools`),
      make("ul", {}, ...tools.map((tool) => make("li", {}, tool)))) : null);
}

function queue({ running, waiting, parallel }) {
  set("line", `${running} of ${parallel} run, ${waiting} wait`);
}

/** Take in how many tokens were written so far, and draw the last minute. */
function measure(written) {
  const now = performance.now() / 1000;
  if (before === null || written < before.written) {
    before = { now, written };
    return;
  }
  const passed = now - before.now;
  if (passed < 0.5) return;
  const rate = (written - before.written) / passed;
  before = { now, written };
  const steps = Math.min(MINUTE, Math.max(1, Math.round(passed)));
  speeds.splice(0, steps);
  while (speeds.length < MINUTE) speeds.push(rate);
  set("rate", rate.toFixed(rate < 10 && rate > 0 ? 1 : 0));
  draw();
}

function draw() {
  const most = Math.max(10, ...speeds);
  const points = speeds.map((speed, at) =>
    `${((at / (MINUTE - 1)) * 300).toFixed(1)},${(58 - (speed / most) * 54).toFixed(1)}`);
  const plot = find("plot");
  plot.querySelector(".curve").setAttribute("points", points.join(" "));
  plot.querySelector(".area").setAttribute("points", `0,60 ${points.join(" ")} 300,60`);
  const told = `Tokens per second of the last minute: now ${speeds.at(-1).toFixed(0)}, `
    + `at most ${Math.max(...speeds).toFixed(0)}`;
  plot.setAttribute("aria-label", told);
}

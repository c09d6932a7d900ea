// The page's start: the key, and the events that keep the board true.

import { lost, show } from "./board.js";
import { begin, offerModels, offerServers } from "./chat.js";
import { ask, find, key, pieces, Refusal } from "./wire.js";

let following = null;
let pause = 1;

/** Follow the server's events for as long as the page is seen. */
async function follow() {
  following?.abort();
  const control = new AbortController();
  following = control;
  try {
    const response = await ask("gateway/events", { signal: control.signal });
    entered();
    for await (const event of pieces(response, "\n\n")) {
      const data = event.split("\n").filter((line) => line.startsWith("data: "));
      if (!data.length) continue;
      const status = JSON.parse(data.map((line) => line.slice(6)).join("\n"));
      pause = 1;
      show(status);
      offerServers(status.servers);
    }
    throw new Error("The server has gone; trying again…");
  } catch (error) {
    if (control.signal.aborted) return;
    if (error instanceof Refusal && refused(error)) return;
    lost(error instanceof Refusal ? error.message : "The server does not answer; trying again…");
    setTimeout(() => { if (following === control) follow(); }, pause * 1000);
    pause = Math.min(pause * 2, 15);
  }
}

/** Ask for a key, if one is missing or wrong; return whether that is so. */
function refused(error) {
  if (error.status !== 401) return false;
  find("key-section").hidden = false;
  find("columns").hidden = true;
  find("forget").hidden = true;
  find("key-error").textContent = key.get() ? "The server does not know this key." : "";
  key.forget();
  lost("A key is needed.");
  find("key").focus();
  return true;
}

function entered() {
  const asked = !find("key-section").hidden;
  find("key-section").hidden = true;
  find("columns").hidden = false;
  find("forget").hidden = !key.get();
  find("links").hidden = Boolean(key.get()); // a link cannot bring the key along
  offerModels().catch((error) => { find("progress").textContent = error.message; });
  if (asked) find("message").focus();
}

find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(find("key").value.trim());
  find("key").value = "";
  follow();
});

find("forget").addEventListener("click", () => {
  key.forget();
  location.reload();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) following?.abort();
  else follow();
});

begin(refused);
follow();

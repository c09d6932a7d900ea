// The playground: a conversation over /api/chat, with the tools that are called shown as they are.

import { ask, find, make, pieces, Refusal } from "./wire.js";

let messages = [];
let running = null;
let known = "";

/** Offer models to choose from. */
export async function offerModels() {
  const { models } = await (await ask("api/tags")).json();
  const usable = models.filter((model) => !model.capabilities || model.capabilities.includes("completion"));
  const select = find("model");
  const chosen = select.value;
  select.replaceChildren(...usable.map((model) => make("option", { value: model.name }, model.name)));
  if (usable.some((model) => model.name === chosen)) select.value = chosen;
  if (!usable.length) select.append(make("option", { value: "" }, "no model is installed"));
}

/** Offer the tools of MCP servers, if the key may use them. */
export function offerServers(servers) {
  const text = JSON.stringify((servers ?? []).map(({ name, enabled }) => [name, enabled]));
  if (text === known) return;
  known = text;
  const box = (server) => make("label", {},
    make("input", { type: "checkbox", name: "server", value: server.name, checked: server.enabled && "" }),
    server.name);
  find("tools").replaceChildren(make("legend", {}, "Tools of"), make("div", {}, ...(servers ?? []).map(box)));
  find("tools").hidden = !servers?.length;
}

/** Let the form work; `refused` hears of a refusal. */
export function begin(refused) {
  find("chat").addEventListener("submit", (event) => {
    event.preventDefault();
    send(refused);
  });
  find("message").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      find("chat").requestSubmit();
    }
  });
  find("stop").addEventListener("click", () => running?.abort());
  find("clear").addEventListener("click", () => {
    running?.abort();
    messages = [];
    find("transcript").replaceChildren();
    tell("");
    find("message").focus();
  });
}

async function send(refused) {
  const text = find("message").value.trim();
  if (running || !text || !find("model").value) return;
  const control = new AbortController();
  running = control;
  find("message").value = "";
  busy(true);
  say("user", "You").append(text);
  const asked = [...messages, { role: "user", content: text }];
  const servers = [...document.querySelectorAll("#tools input:checked")].map((box) => box.value);
  const answer = new Answer(find("model").value);
  try {
    const body = { model: find("model").value, messages: asked, stream: true, mcp_servers: servers };
    const response = await ask("api/chat", { body, signal: control.signal });
    for await (const line of pieces(response, "\n")) if (line.trim()) answer.take(JSON.parse(line));
    answer.end();
    messages = [...asked, { role: "assistant", content: answer.content }];
  } catch (error) {
    answer.fail(error.name === "AbortError" ? null : error);
    if (answer.content) messages = [...asked, { role: "assistant", content: answer.content }];
    if (error instanceof Refusal) refused(error);
  } finally {
    if (running === control) {
      running = null;
      busy(false);
    }
  }
}

function busy(is) {
  find("send").disabled = is;
  find("stop").disabled = !is;
  find("transcript").setAttribute("aria-busy", String(is));
  if (!is && document.activeElement === document.body) find("message").focus();
}

const tell = (text) => { find("progress").textContent = text; };

/** Add an article to the conversation; return where its text goes. */
function say(kind, name) {
  const text = make("div", { class: "text" });
  find("transcript").append(make("article", { class: kind }, make("h3", {}, name), text));
  down(true);
  return text;
}

/** Keep the end in sight, unless the reader has gone up. */
function down(always = false) {
  const place = find("transcript");
  const gap = place.scrollHeight - place.scrollTop - place.clientHeight;
  if (always || gap < 120) place.scrollTop = place.scrollHeight;
}

class Answer {
  constructor(model) {
    this.content = "";
    this.final = null;
    this.began = performance.now();
    this.calls = [];
    this.text = say("assistant", model);
    this.article = this.text.parentElement;
    this.thought = null;
    tell(`Asking ${model}…`);
  }

  take(part) {
    if (part.error) throw new Error(part.error);
    const message = part.message ?? {};
    if (message.role === "tool") this.result(message);
    else {
      if (message.thinking) this.think(message.thinking);
      if (message.content) this.write(message.content);
      for (const { function: call } of message.tool_calls ?? []) this.call(call);
    }
    if (part.done) this.final = part;
    down();
  }

  write(words) {
    if (!this.content) tell("Writing…");
    if (!this.text) {
      this.text = make("div", { class: "text" });
      this.article.append(this.text);
    }
    this.content += words;
    this.text.append(words);
  }

  think(words) {
    if (!this.thought) {
      this.thought = make("div", { class: "text muted" });
      this.place(make("details", { class: "thinking" }, make("summary", {}, "Thinking"), this.thought));
      tell("Thinking…");
    }
    this.thought.append(words);
  }

  call({ name, arguments: given }) {
    const state = make("span", { class: "state muted" }, " is called");
    const made = make("details", { class: "call running" },
      make("summary", {}, make("strong", {}, name), state),
      make("pre", { tabindex: "0", "aria-label": "Arguments" }, JSON.stringify(given, null, 2)));
    this.calls.push({ name, made, state });
    this.place(made);
    this.text = this.thought = null;
    tell(`Calling ${name}…`);
  }

  result({ tool_name: name, content }) {
    const call = this.calls.find((one) => one.name === name && !one.over)
      ?? this.calls.find((one) => !one.over);
    if (!call) return;
    call.over = true;
    const failed = content.startsWith("Error: ");
    call.made.classList.remove("running");
    if (failed) call.made.classList.add("failed");
    call.state.textContent = failed ? " failed" : " answered";
    call.state.className = `state ${failed ? "bad" : "good"}`;
    call.made.append(make("pre", { tabindex: "0", "aria-label": "Result" }, content));
    tell(`${name} ${failed ? "failed" : "answered"}.`);
  }

  /** Put something before the text that is being written, or after all. */
  place(made) {
    if (this.text && !this.text.hasChildNodes()) this.text.before(made);
    else this.article.append(made);
  }

  end() {
    if (!this.final) throw new Error("The answer broke off before its end.");
    const { prompt_eval_count: read = 0, eval_count: written = 0, eval_duration: took } = this.final;
    const seconds = (performance.now() - this.began) / 1000;
    const speed = took ? `, ${(written / (took / 1e9)).toFixed(0)} tokens/s` : "";
    if (!this.content) this.note("muted", "It said nothing.");
    for (const warning of this.final.warnings ?? []) this.note("warn", warning);
    if (this.final.done_reason === "length") this.note("warn", "Cut: the answer reached its longest.");
    this.note("muted counts", `${read} tokens read, ${written} written${speed}, ${seconds.toFixed(1)} s`);
    tell("Answered.");
    down();
  }

  fail(error) {
    for (const call of this.calls.filter((one) => !one.over)) call.made.classList.remove("running");
    if (error) this.note("bad", error.message);
    else this.note("muted", "Stopped.");
    tell(error ? "It failed." : "Stopped.");
    down();
  }

  note(kind, text) {
    this.article.append(make("p", { class: kind }, text));
  }
}

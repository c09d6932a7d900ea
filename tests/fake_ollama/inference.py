"""Chat, generate and embed, as a small deterministic model would answer."""

from __future__ import annotations

from collections.abc import Iterator

from .answers import (
    count_prompt,
    instance_of,
    line_of,
    logprobs_of,
    merge,
    play,
    reply_to,
    unit_vector,
    vector_of,
    words_of,
)
from .models import Model, full_name, key_of
from .reading import demand_closed, images_of, keep_alive, named
from .shelf import Shelf
from .wire import JSON, WHOLE, Answer, Refused, demand

NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"


class Inference(Shelf):
    """The answers of models."""

    def _chat(self, body: JSON) -> Answer | JSON:
        nameless = Refused(400, "model is required")
        return self._infer("chat", body, body.get("messages") or [], nameless)

    def _generate(self, body: JSON) -> Answer | JSON:
        user = {"role": "user", "content": body.get("prompt"), "images": images_of(body)}
        system = {"role": "system", "content": body.get("system")}
        said = [system, user] if body.get("system") else [user]
        nameless = Refused(404, "model '' not found")
        return self._infer("generate", body, said if body.get("prompt") else [], nameless)

    def _infer(
        self, verb: str, body: JSON, messages: list[JSON], nameless: Refused
    ) -> Answer | JSON:
        """Chat or generate: every check before the model runs, in the daemon's order."""
        name, think, keep = named(body), body.get("think"), keep_alive(body)
        demand(isinstance(think, (bool, str, type(None))), "think must be a boolean or string")
        in_range = 0 <= (body.get("top_logprobs") or 0) <= 20
        demand(in_range, "top_logprobs must be between 0 and 20")
        model = self.find(name, f"model '{name}' not found", nameless)
        if not messages and not keep:
            self.loaded.pop(key_of(model.name), None)
            return line_of(name, verb, done="unload")
        clash = body.get("raw") and any(body.get(k) for k in ("system", "template", "context"))
        demand(not clash, "raw mode does not support template, system, or context")
        known = not isinstance(think, str) or think in ("low", "medium", "high", "max")
        levels = '(must be "high", "medium", "low", "max", true, or false)'
        demand(known, f'invalid think value: "{think}" {levels}')
        demand(not think or model.can("thinking"), f'"{name}" does not support thinking')
        demand(model.can("completion"), f'"{name}" does not support {verb}')
        for wanted, need in (("tools", "tools"), ("suffix", "insert")):
            able = model.can(need) or not body.get(wanted)
            demand(able, f"{full_name(model.name)} does not support {need}")
        options = self.load(model, body)
        if not messages:
            return line_of(name, verb, done="load")
        demand_closed(body.get("template") or "", "", 500)
        if model.system and messages[0].get("role") != "system":
            messages = [{"role": "system", "content": model.system}, *messages]
        if body.get("_debug_render_only"):
            turns = "".join(f"<|{m.get('role')}|>\n{m.get('content')}\n" for m in messages)
            shown = {"rendered_template": turns + "<|assistant|>\n"}
            return {**line_of(name, verb, role=""), "_debug_info": shown}
        lines = self._speak(verb, body, model, messages, options)
        answer = play(lines, merge if body.get("stream") is False else None, WHOLE)
        if not keep:
            del self.loaded[key_of(model.name)]
        return answer

    def _speak(
        self, verb: str, body: JSON, model: Model, messages: list[JSON], options: JSON
    ) -> Iterator[JSON]:
        """The lines of an answer: thoughts, then a tool call or words, then the last line."""
        name, said = named(body), messages[-1].get("content") or ""
        prompt_count = count_prompt(body, model, messages, options["num_ctx"])
        from_user = messages[-1].get("role") == "user"
        calls = self._calls(body.get("tools") or [], said) if from_user else []
        thinks = model.can("thinking") and body.get("think") is not False
        tokens = [("thinking", word) for word in words_of(f"The user wrote: {said}") if thinks]
        tokens += [("content", word) for word in words_of(reply_to(body, messages)) if not calls]
        limit = int(options.get("num_predict") or -1)
        reason = "length" if 0 < limit <= len(tokens) else "stop"
        tokens = tokens[:limit] if reason == "length" else tokens
        for channel, word in tokens:
            yield {**line_of(name, verb, **{channel: word}), **logprobs_of(word, body)}
        if calls and reason == "stop":
            yield line_of(name, verb, tool_calls=calls)
        context = {"context": [*range(prompt_count + len(tokens))]}
        yield {
            **line_of(name, verb, done=reason),
            **(context if verb == "generate" and not body.get("raw") else {}),
            "total_duration": 50_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": prompt_count,
            "prompt_eval_cached_count": 0,
            "prompt_eval_duration": 20_000_000,
            "eval_count": len(tokens) or 1,
            "eval_duration": 20_000_000,
        }

    def _calls(self, tools: list[JSON], said: str) -> list[JSON]:
        """A call of the first tool that the user names, with minimal arguments."""
        for tool in (tool.get("function", {}) for tool in tools):
            if tool.get("name") and tool["name"] in said:
                self.calls += 1
                schema = tool.get("parameters") or {}
                function = {
                    "index": 0,
                    "name": tool["name"],
                    "arguments": instance_of(schema, schema),
                }
                return [{"id": f"call_{self.calls:08d}", "function": function}]
        return []

    def _embed(self, body: JSON) -> JSON:
        name, given = named(body), body.get("input")
        texts = [given] if isinstance(given, str) and given else given or []
        fits = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        demand(fits, "invalid input type")
        missing = f'model "{name}" not found, try pulling it first'
        model = self.find(name, missing, Refused(404, "model '' not found"))
        window, whole = self.load(model, body)["num_ctx"], model.embedding_length
        if not texts:
            return {"model": name, "embeddings": []}
        demand(model.can("embedding"), NO_EMBEDDINGS, 501)
        counts = [len(text.split()) + 2 for text in texts]  # and the marks of start and end
        fits = body.get("truncate") is not False or max(counts) <= window
        demand(fits, "the input length exceeds the context length")
        size = body.get("dimensions") or 0
        size = size if 0 < size < whole else whole
        return {
            "model": name,
            "embeddings": [unit_vector(vector_of(text, whole)[:size]) for text in texts],
            "total_duration": 5_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": sum(min(count, window) for count in counts),
        }

    def _embeddings(self, body: JSON) -> JSON:
        missing = f'model "{named(body)}" not found, try pulling it first'
        model = self.find(named(body), missing, Refused(400, "model is required"))
        self.load(model, body)
        if not body.get("prompt"):
            return {"embedding": []}
        demand(model.can("embedding"), NO_EMBEDDINGS, 500)
        return {"embedding": unit_vector(vector_of(body["prompt"], model.embedding_length))}

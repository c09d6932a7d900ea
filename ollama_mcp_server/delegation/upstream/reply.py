"""An endpoint's chunks, as the parts of Ollama's `/api/chat`: pure conversions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...daemon.wire import Part
from ...errors import DaemonError
from ..context import texts

#: Where endpoints tell what a model thinks: vLLM, DeepSeek; Ollama, OpenRouter.
_REASONING = ("reasoning_content", "reasoning")
#: Ends that are failures: vLLM's, OpenRouter's, DeepSeek's.
_BROKEN = ("abort", "error", "insufficient_system_resource")
#: A prompt of so many characters, and so many for each token that was read, was hardly read whole.
LONG, SPARSE = 4_000, 8


@dataclass
class _Call:
    """A tool call, joined of its pieces."""

    index: int | None
    id: str = ""
    name: str = ""
    #: As it came: pieces of JSON, or of some servers the object itself.
    arguments: Any = ""


class Reply:
    """What an endpoint has said so far, taken in chunk by chunk."""

    def __init__(self, model: str) -> None:
        self.model = model
        #: The field in which it told thoughts, if it did.
        self.reasoning: str | None = None
        self.warnings: list[str] = []
        #: Whether it has said anything yet.
        self.said = False
        self._calls: list[_Call] = []
        self._usage: Part = {}
        self._finish = ""

    def take(self, chunk: Part) -> Part | None:
        """Return what a chunk says, or None if it says nothing; calls are told at the end."""
        self.model = chunk.get("model") or self.model
        self._usage = _object(chunk.get("usage")) or self._usage
        choices = chunk.get("choices")
        choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
        self._finish = choice.get("finish_reason") or self._finish
        delta = _object(choice.get("delta") or choice.get("message"))
        content, thinking = _spoken(delta.get("content") or delta.get("refusal"))
        for name in _REASONING:
            if isinstance(delta.get(name), str) and delta[name]:
                self.reasoning, thinking = name, delta[name]
                break
        calls = [_object(call) for call in delta.get("tool_calls") or ()]
        for call in calls:
            self._take_call(call)
        if not (content or thinking or calls):
            return None
        self.said = True
        message = {"role": "assistant", "content": content}
        return self._part(message | ({"thinking": thinking} if thinking else {}))

    def end(self, *, done: bool, nanoseconds: int) -> Iterator[Part]:
        """Yield the parts that end the answer: its calls, and the final one.

        Args:
            done: whether the endpoint said that nothing follows.
            nanoseconds: how long it took.

        Raises:
            DaemonError: the answer was cut.
        """
        if self._finish in _BROKEN or not (self._finish or (done and self.said)):
            why = f" ({self._finish})" if self._finish else ""
            raise DaemonError(
                f"the answer was cut: the endpoint ended it before its end{why}",
                "Call again; the endpoint's log may say why it stopped",
            )
        if self._finish == "content_filter":
            self.warnings.append("a content filter of the endpoint ended the answer")
        elif not self._finish:
            self.warnings.append("the endpoint did not tell why the answer ended; it may be cut")
        if self._calls:
            calls = [_native(call, at) for at, call in enumerate(self._calls)]
            yield self._part({"role": "assistant", "content": "", "tool_calls": calls})
        yield {
            "model": self.model,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "length" if self._finish == "length" else "stop",
            **_counts(self._usage),
            "total_duration": nanoseconds,
        }

    def _part(self, message: Part) -> Part:
        return {"model": self.model, "message": message, "done": False}

    def _take_call(self, delta: Part) -> None:
        """Join a piece to its call. Several whole calls may share an index, or have none."""
        function = _object(delta.get("function"))
        index, given, name = delta.get("index"), delta.get("id") or "", function.get("name") or ""
        piece = function.get("arguments") or ""
        if not (given or name or piece):
            return
        call = next((c for c in reversed(self._calls) if index in (None, c.index)), None)
        if call is None or (name and (given != call.id if given else index is None)):
            call = _Call(index)
            self._calls.append(call)
        call.id, call.name = call.id or given, call.name or name
        is_text = isinstance(piece, str) and isinstance(call.arguments, str)
        call.arguments = call.arguments + piece if is_text else piece


def dropped(request: Part, final: Part) -> str | None:
    """Return a warning if far fewer tokens were read than a request's text must have.

    Ollama's own `/v1` cuts a prompt that is too long, and does not say so.
    """
    read = final.get("prompt_eval_count")
    characters = sum(len(" ".join(text.split())) for text in texts(request))
    if not read or characters < LONG or characters < SPARSE * read:
        return None
    return (
        f"the endpoint read {read} tokens of a prompt of {characters} characters: it seems to "
        "have dropped a part; raise its context window"
    )


def _native(call: _Call, index: int) -> Part:
    """Return a call in Ollama's form; arguments that are no object stay the text that came."""
    arguments = call.arguments
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            parsed = arguments
        arguments = parsed if isinstance(parsed, dict) else {} if parsed is None else arguments
    function = {"index": index, "name": call.name, "arguments": arguments}
    return {**({"id": call.id} if call.id else {}), "function": function}


def _counts(usage: Part) -> Part:
    """Return the tokens that an endpoint counted, by Ollama's names."""
    details = _object(usage.get("prompt_tokens_details"))
    counts = {
        "prompt_eval_count": usage.get("prompt_tokens"),
        "eval_count": usage.get("completion_tokens"),
        "prompt_eval_cached_count": details.get(
            "cached_tokens", usage.get("prompt_cache_hit_tokens")
        ),
    }
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def _spoken(content: Any) -> tuple[str, str]:
    """Return text and thoughts of a content, which of some endpoints is a list of parts."""
    if isinstance(content, str):
        return content, ""
    parts = [_object(part) for part in content] if isinstance(content, list) else []
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    thought = (_spoken(part.get("thinking"))[0] for part in parts if part.get("type") == "thinking")
    return text, "".join(thought)


def _object(value: Any) -> Part:
    return value if isinstance(value, dict) else {}

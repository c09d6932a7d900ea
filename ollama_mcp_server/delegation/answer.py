"""One answer of a model: asked for as a stream, watched, collected whole."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..daemon.catalog import full_name
from ..daemon.wire import Part, is_final
from ..errors import OllamaMCPError
from ..progress import Progress

if TYPE_CHECKING:
    from ..daemon.client import Client

#: Asks for the rows of `/api/ps`.
Running = Callable[[], Awaitable[list[Part]]]
#: Hears one part of an answer, as the daemon sent it.
Heard = Callable[[Part], None]


@dataclass
class Answer:
    """What a model has said so far; complete once `final` is there."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    final: Part = field(default_factory=dict)
    #: Tokens of the context window, where it is known.
    window: int | None = None
    #: The answer as data, where JSON was asked for.
    data: Any = None
    #: What the reader must know beside the answer, and what only a curious one may.
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Told of every part, for those who show an answer while it comes.
    heard: Heard | None = None

    def add(self, part: Part) -> None:
        """Take in one part of `/api/chat` or `/api/generate`."""
        if self.heard is not None:
            self.heard(part)
        message = part.get("message") or part
        self.content += message.get("content") or part.get("response") or ""
        self.thinking += message.get("thinking") or ""
        self.tool_calls += message.get("tool_calls") or ()
        self.logprobs += part.get("logprobs") or ()
        if is_final(part):
            self.final = dict(part)

    def clear(self) -> None:
        """Forget what was said, for another try; the warnings stay."""
        self.content = self.thinking = ""
        self.tool_calls, self.logprobs, self.final = [], [], {}

    @property
    def model(self) -> str:
        """The model that answered."""
        return str(self.final.get("model"))

    @property
    def done_reason(self) -> str:
        """Why it ended: stop, length, load or unload."""
        return str(self.final.get("done_reason") or "stop")


async def collect(
    client: Client, path: str, body: Part, answer: Answer, progress: Progress
) -> None:
    """Ask a model, and take its answer in as it comes.

    Args:
        client: the daemon's client.
        path: `/api/chat` or `/api/generate`.
        body: the request, by Ollama's names.
        answer: takes in every part, so that nothing is lost if it breaks off.
        progress: told of each phase and of every token.

    Raises:
        OllamaMCPError: the daemon refused, or its answer broke off.
    """
    parts = client.stream(path, {**body, "stream": True}, waiting=progress.waits)
    await take_in(parts, answer, progress)
    answer.final.setdefault("model", body["model"])


async def take_in(parts: AsyncGenerator[Part, None], answer: Answer, progress: Progress) -> None:
    """Take a stream of parts into an answer, and tell of every token; then close the stream."""
    tokens, began = 0, 0.0
    async with aclosing(parts):
        async for part in parts:
            answer.add(part)
            if is_final(part):
                continue  # it counts the tokens, and is none
            tokens += 1
            now = time.monotonic()
            began = began or now
            rate = f", {(tokens - 1) / (now - began):.0f} tokens/s" if now - began > 0.5 else ""
            phase = "writing" if answer.content or not answer.thinking else "thinking"
            progress.update(f"{phase}: token {tokens}{rate}", tokens)


def said(answer: Answer) -> dict[str, Any]:
    """Return what had been said when it went wrong, so that it is not lost."""
    return {
        name: text
        for name, text in (
            ("content", answer.content),
            ("thinking", answer.thinking),
            ("notes", answer.notes),
        )
        if text
    }


def waiting_phase(model: str, running: Running) -> Callable[[], Awaitable[str]]:
    """Return a function that asks what a silent call waits for: the load, or its prompt."""

    async def look() -> str:
        try:
            names = [full_name(str(row.get("name"))) for row in await running()]
        except OllamaMCPError:
            return f"waiting for {model}"
        if full_name(model) in names:
            return f"reading the prompt with {model}"
        # A runner goes by the name that loaded it, and may serve a model of the same weights.
        return f"loading {model}" + (", or reading the prompt" if names else "")

    return look

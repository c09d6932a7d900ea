"""A run as OpenAI's chat.completion, whole or in chunks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from ...agent.events import Run, Step
from ...daemon.wire import Part, encode
from ...delegation import openai
from ..runs.chat import Chat
from ..runs.direct import answer_of
from ..runs.telling import Telling, as_event, extras, shown

#: What ends a stream.
DONE = b"data: [DONE]\n\n"


class Completion(Telling):
    """Tells a run as `/v1/chat/completions` does; the calls made inside stand in `mcp_steps`."""

    def __init__(self, chat: Chat) -> None:
        super().__init__(chat)
        self._id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
        self._created = int(time.time())
        self._begun = self._spoke = self._apart = False

    def turn(self, number: int) -> Iterator[bytes]:
        """Keep what is said in one turn apart from what was said before."""
        self._apart = self._spoke
        return iter(())

    def thought(self, piece: str) -> Iterator[bytes]:
        """Yield a piece of a thought, as `reasoning`."""
        yield from self._delta({"reasoning": piece})

    def text(self, piece: str) -> Iterator[bytes]:
        """Yield a piece of content."""
        if self._apart:
            piece, self._apart = f"\n\n{piece}", False
        self._spoke = True
        yield from self._delta({"content": piece})

    def calling(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield a chunk that shows the call."""
        yield from self._delta({}, mcp_steps=[shown(number, step, done=False)])

    def called(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield a chunk that shows the call with its outcome."""
        yield from self._delta({}, mcp_steps=[shown(number, step)])

    def end(self, run: Run) -> Iterator[bytes]:
        """Yield the calls for the client, the reason, the usage; or the whole completion."""
        told = openai.to_completion(answer_of(run), [])
        told |= {"id": self._id, "created": self._created, "model": self.chat.model, **extras(run)}
        if not self.streams:
            yield encode(told)
            return
        [choice] = told["choices"]
        if calls := choice["message"].get("tool_calls"):
            numbered = [{"index": number, **call} for number, call in enumerate(calls)]
            yield from self._delta({"tool_calls": numbered})
        warned = {"warnings": told["warnings"]} if "warnings" in told else {}
        yield from self._delta({}, finish_reason=choice["finish_reason"], **warned)
        if self.chat.include_usage:
            yield as_event(self._chunk([], usage=told["usage"]))
        yield DONE

    def _delta(
        self, delta: Part, *, finish_reason: str | None = None, **more: Any
    ) -> Iterator[bytes]:
        if not self.streams:
            return
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", "content": "", **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        yield as_event(self._chunk([choice], **more))

    def _chunk(self, choices: list[Part], **more: Any) -> Part:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self.chat.model,
            "choices": choices,
            **more,
        }

"""A run as Anthropic's message, whole or in events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

from ...agent.events import Run, Step, StopReason
from ...daemon.wire import Part, encode
from ..runs.chat import Chat
from ..runs.telling import Telling, as_event, extras, shown

#: How a run ended, in Anthropic's words; else it is the end of the model's turn.
_REASONS: dict[StopReason, str] = {
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
}
#: Where a block of each type has what is told in pieces, and what such a piece is called.
_PIECES = {"text": "text_delta", "thinking": "thinking_delta"}


class Message(Telling):
    """Tells a run as `/v1/messages` does.

    The calls made inside stand in `mcp_steps` of the message, or of `ping` events.
    """

    def __init__(self, chat: Chat) -> None:
        super().__init__(chat)
        self._message: Part = {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": chat.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        self._blocks: list[Part] = self._message["content"]
        self._begun = self._open = False

    def turn(self, number: int) -> Iterator[bytes]:
        """End what was said before."""
        yield from self._close()

    def thought(self, piece: str) -> Iterator[bytes]:
        """Yield a piece of a thought."""
        yield from self._piece({"type": "thinking", "thinking": "", "signature": ""}, piece)

    def text(self, piece: str) -> Iterator[bytes]:
        """Yield a piece of text."""
        yield from self._piece({"type": "text", "text": ""}, piece)

    def calling(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield a ping that shows the call."""
        yield from self._event("ping", mcp_steps=[shown(number, step, done=False)])

    def called(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield a ping that shows the call with its outcome."""
        yield from self._event("ping", mcp_steps=[shown(number, step)])

    def end(self, run: Run) -> Iterator[bytes]:
        """Yield the calls for the client, the reason, the usage; or the whole message."""
        for call in run.calls:
            arguments = call.arguments if isinstance(call.arguments, dict) else {}
            handle = call.id or f"toolu_{uuid.uuid4().hex[:24]}"
            block = {"type": "tool_use", "id": handle, "name": call.name, "input": {}}
            yield from self._begin(block)
            if arguments:
                delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
                yield from self._delta(delta)
                block["input"] = arguments
        yield from self._close()
        reason = {"stop_reason": _REASONS.get(run.stop_reason, "end_turn"), "stop_sequence": None}
        usage = {"input_tokens": run.prompt_tokens, "output_tokens": run.completion_tokens}
        if not self.streams:
            yield encode({**self._message, **reason, "usage": usage, **extras(run)})
            return
        yield from self._event("message_delta", delta=reason, usage=usage, **extras(run))
        yield from self._event("message_stop")

    def _piece(self, block: Part, piece: str) -> Iterator[bytes]:
        kind = block["type"]
        if not self._open or self._blocks[-1]["type"] != kind:
            yield from self._begin(block)
        self._blocks[-1][kind] += piece
        yield from self._delta({"type": _PIECES[kind], kind: piece})

    def _begin(self, block: Part) -> Iterator[bytes]:
        yield from self._close()
        self._open = True
        self._blocks.append(block)
        yield from self._event("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: Part) -> Iterator[bytes]:
        yield from self._event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self._open:
            self._open = False
            yield from self._event("content_block_stop", index=self._index)

    @property
    def _index(self) -> int:
        return len(self._blocks) - 1

    def _event(self, name: str, **fields: object) -> Iterator[bytes]:
        if not self.streams:
            return
        if not self._begun:
            self._begun = True
            start = {"type": "message_start", "message": {**self._message, "content": []}}
            yield as_event(start, "message_start")
        yield as_event({"type": name, **fields}, name)

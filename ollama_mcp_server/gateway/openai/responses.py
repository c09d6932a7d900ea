"""A run as OpenAI's response, whole or in events; a call made inside is an item, `mcp_call`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from ...agent.events import Run, Step
from ...daemon.wire import Part, encode
from ..runs.chat import Chat
from ..runs.telling import Telling, as_event, extras
from .envelope import envelope, new_id, usage


class Response(Telling):
    """Tells a run as `/v1/responses` does."""

    def __init__(self, chat: Chat, request: Part) -> None:
        """Tell of a chat, which was made from this request."""
        super().__init__(chat)
        self._number = 0
        self._output: list[Part] = []
        #: The place of each step's item, and of the one that is being said.
        self._places: dict[int, int] = {}
        self._open: int | None = None
        self._response = envelope(chat, request, self._output)
        self._begun = False

    def turn(self, number: int) -> Iterator[bytes]:
        """End what was said before."""
        yield from self._close()

    def thought(self, piece: str) -> Iterator[bytes]:
        """Yield a piece of the summary of a reasoning item."""
        if self._kind != "reasoning":
            item: Part = {"id": new_id("rs"), "type": "reasoning", "summary": []}
            yield from self._add(item)
            part = {"type": "summary_text", "text": ""}
            item["summary"].append(part)
            yield from self._about("response.reasoning_summary_part.added", part=part, **_SUMMARY)
        self._item["summary"][0]["text"] += piece
        yield from self._about("response.reasoning_summary_text.delta", delta=piece, **_SUMMARY)

    def text(self, piece: str) -> Iterator[bytes]:
        """Yield a piece of a message item."""
        if self._kind != "message":
            item: Part = {
                "id": new_id("msg"),
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            yield from self._add(item)
            part: Part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            item["content"].append(part)
            yield from self._about("response.content_part.added", part=part, **_CONTENT)
        self._item["content"][0]["text"] += piece
        yield from self._about("response.output_text.delta", delta=piece, logprobs=[], **_CONTENT)

    def calling(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield the item of a call."""
        item = {
            "id": new_id("mcp"),
            "type": "mcp_call",
            "server_label": step.server,
            "name": step.tool,
            "arguments": json.dumps(step.arguments, ensure_ascii=False),
            "output": None,
            "error": None,
            "status": "in_progress",
        }
        yield from self._add(item)
        self._places[number], self._open = len(self._output) - 1, None
        place = self._places[number]
        yield from self._about("response.mcp_call.in_progress", place)
        yield from self._about(
            "response.mcp_call_arguments.done", place, arguments=item["arguments"]
        )

    def called(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield what came of a call."""
        place = self._places[number]
        failed = step.error is not None
        self._output[place].update(
            output=step.result, error=step.error, status="failed" if failed else "completed"
        )
        yield from self._about(
            "response.mcp_call.failed" if failed else "response.mcp_call.completed", place
        )
        yield from self._done(place)

    def end(self, run: Run) -> Iterator[bytes]:
        """Yield the calls for the client and the whole response."""
        for call in run.calls:
            arguments = call.arguments if isinstance(call.arguments, dict) else {}
            told = json.dumps(arguments, ensure_ascii=False)
            item = {
                "id": new_id("fc"),
                "type": "function_call",
                "call_id": call.id or new_id("call"),
                "name": call.name,
                "arguments": "",
                "status": "in_progress",
            }
            yield from self._add(item)
            yield from self._about("response.function_call_arguments.delta", delta=told)
            item["arguments"] = told
            yield from self._about(
                "response.function_call_arguments.done", name=call.name, arguments=told
            )
        yield from self._close()
        is_cut = run.stop_reason in ("length", "max_tokens")
        name = "incomplete" if is_cut else "completed"
        response = {
            **self._response,
            "status": name,
            "completed_at": int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": usage(run),
            **{name: told for name, told in extras(run).items() if name == "warnings"},
        }
        if self.streams:
            yield from self._event(f"response.{name}", response=response)
        else:
            yield encode(response)

    @property
    def _item(self) -> Part:
        assert self._open is not None  # noqa: S101 - for the type checker
        return self._output[self._open]

    @property
    def _kind(self) -> str | None:
        """The type of the item that is being said."""
        return None if self._open is None else str(self._item["type"])

    def _add(self, item: Part) -> Iterator[bytes]:
        yield from self._close()
        self._output.append(item)
        self._open = len(self._output) - 1
        yield from self._event("response.output_item.added", output_index=self._open, item=item)

    def _close(self) -> Iterator[bytes]:
        """End the item that is being said."""
        if self._open is None:
            return
        item, place = self._item, self._open
        if item["type"] == "message":
            [part] = item["content"]
            yield from self._about(
                "response.output_text.done", text=part["text"], logprobs=[], **_CONTENT
            )
            yield from self._about("response.content_part.done", part=part, **_CONTENT)
        elif item["type"] == "reasoning":
            [part] = item["summary"]
            yield from self._about(
                "response.reasoning_summary_text.done", text=part["text"], **_SUMMARY
            )
            yield from self._about("response.reasoning_summary_part.done", part=part, **_SUMMARY)
        if "status" in item:
            item["status"] = "completed"
        self._open = None
        yield from self._done(place)

    def _done(self, place: int) -> Iterator[bytes]:
        yield from self._event(
            "response.output_item.done", output_index=place, item=self._output[place]
        )

    def _about(self, event: str, place: int | None = None, **fields: object) -> Iterator[bytes]:
        """Yield an event about an item: the one that is being said, unless another is named."""
        place = self._open if place is None else place
        assert place is not None  # noqa: S101 - for the type checker
        item = self._output[place]["id"]
        yield from self._event(event, item_id=item, output_index=place, **fields)

    def _event(self, event: str, **fields: object) -> Iterator[bytes]:
        if not self.streams:
            return
        if not self._begun:
            self._begun = True
            for first in ("response.created", "response.in_progress"):
                yield from self._event(first, response={**self._response, "output": []})
        yield as_event({"type": event, "sequence_number": self._number, **fields}, event)
        self._number += 1


_CONTENT = {"content_index": 0}
_SUMMARY = {"summary_index": 0}

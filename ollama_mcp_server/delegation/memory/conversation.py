"""One conversation: its messages, their size, and its line in a list."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...errors import TooLarge

if TYPE_CHECKING:
    from ..answer import Answer

#: Bytes of a conversation as JSON, pictures included, that its next message must fit in.
MAX_BYTES = 2**20
#: Characters of the first user message that stand in a list.
TITLE = 60

Message = dict[str, Any]


@dataclass
class Conversation:
    """A conversation, as it was loaded and as it shall be saved."""

    handle: str
    owner: str
    """Whose it is, hashed."""
    messages: list[Message] = field(default_factory=list)
    model: str = ""
    """The model that answered last."""
    version: int = 0
    """How often it has been saved."""
    max_bytes: int = MAX_BYTES

    def add(self, messages: list[Message]) -> None:
        """Take in what the caller sends; a system message that it holds already is not repeated.

        Raises:
            TooLarge: it would hold more than is kept. Answers are never refused, so that none is
                lost once a model has written it.
        """
        new = [m for m in messages if m.get("role") != "system" or m not in self.messages]
        size = size_of([*self.messages, *new])
        if size > self.max_bytes:
            raise TooLarge(
                f"the conversation would hold {size:,} bytes, and {self.max_bytes:,} are kept",
                'Begin another with conversation: "new", and send less or smaller pictures',
                bytes=size,
            )
        self.messages += new

    def take(self, messages: list[Message], answer: Answer) -> None:
        """Take in an answer, and the messages that it was given to: some may have been dropped."""
        reply = {
            "role": "assistant",
            "content": answer.content,
            "thinking": answer.thinking,
            "tool_calls": answer.tool_calls,
        }
        said = {name: value for name, value in reply.items() if value or name == "content"}
        self.messages = [*messages, said]
        self.model = answer.model


@dataclass(frozen=True)
class Summary:
    """A conversation's line in its owner's list."""

    handle: str
    title: str
    model: str
    turns: int
    """User messages in it."""
    bytes: int
    updated: str


def summary(conversation: Conversation, now: datetime) -> Summary:
    """Return a conversation's line for a list."""
    asked = [m for m in conversation.messages if m.get("role") == "user"]
    first = " ".join(str(asked[0].get("content") or "").split()) if asked else ""
    return Summary(
        conversation.handle,
        first if len(first) <= TITLE else first[: TITLE - 1] + "…",
        conversation.model,
        len(asked),
        size_of(conversation.messages),
        now.isoformat(timespec="milliseconds"),
    )


def as_json(messages: list[Message]) -> str:
    """Return messages as they are kept."""
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


def size_of(messages: list[Message]) -> int:
    """Return the bytes of messages as they are kept."""
    return len(as_json(messages).encode(errors="surrogatepass"))

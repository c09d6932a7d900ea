"""What streams of the older era have told, for clients whose connection broke: `Last-Event-ID`.

The SDK goes from what is told again to what comes next with a gap, in which an answer can be
lost, and leaves a resumed stream open after its answer. So a request's stream is followed here
to its end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count
from secrets import token_hex

import anyio
from mcp.server.streamable_http import GET_STREAM_KEY, EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCResponse
from mcp_types.jsonrpc import jsonrpc_message_adapter

#: Bytes of events that are kept, of all sessions together; the oldest are forgotten first.
MOST = 4 * 2**20
#: Bytes that an event takes beside its message.
EACH = 512


@dataclass(frozen=True)
class Event:
    """Something that a stream told, as JSON, which takes a quarter of what objects do.

    Attributes:
        message: nothing where a stream only began.
        ends: whether it is the answer, after which its stream has no more to tell.
    """

    number: int
    session: str
    stream: str
    message: bytes
    ends: bool

    @property
    def id(self) -> str:
        """Its name for clients; what another session's are cannot be guessed."""
        return f"{self.session}-{self.number}"

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return EACH + len(self.message)


class Past:
    """The events of all sessions, in memory, the newest that there is room for."""

    def __init__(self, most: int = MOST) -> None:
        self.events: deque[Event] = deque()
        self.numbers = count(1)
        self._most = most
        self._held = 0

    def session(self) -> Told:
        """Return the events of a new session."""
        return Told(self)

    def keep(self, event: Event) -> None:
        """Keep one more event, and forget the oldest if there is no room."""
        self.events.append(event)
        self._held += event.size
        while self._held > self._most:
            self._held -= self.events.popleft().size


class Told(EventStore):
    """The events of one session."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._name = token_hex(8)
        self._more = anyio.Event()

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event; returns its id."""
        said = message.model_dump_json(by_alias=True, exclude_unset=True) if message else ""
        ends = isinstance(message, JSONRPCResponse | JSONRPCError)
        event = Event(next(self._past.numbers), self._name, stream_id, said.encode(), ends)
        self._past.keep(event)
        self._more.set()
        self._more = anyio.Event()
        return event.id

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        """Send what a stream has told since an event, and a request's stream to its end.

        Returns:
            The stream, if the SDK shall send what else it tells; None if it has ended, or if
            nobody knows the event.
        """
        begun = self._found(last_event_id)
        if begun is None or begun.ends:
            return None
        stream, last = begun.stream, begun.number
        while True:
            more = self._more
            for event in self._since(stream, last):
                last = event.number
                if event.message:
                    message = jsonrpc_message_adapter.validate_json(event.message)
                    await send_callback(EventMessage(message, event.id))
                if event.ends:
                    return None
            if stream == GET_STREAM_KEY:
                return stream
            await more.wait()

    def _found(self, event_id: str) -> Event | None:
        own = (event for event in self._past.events if event.session == self._name)
        return next((event for event in own if event.id == event_id), None)

    def _since(self, stream: str, last: int) -> list[Event]:
        return [
            event
            for event in self._past.events
            if event.number > last and (event.session, event.stream) == (self._name, stream)
        ]

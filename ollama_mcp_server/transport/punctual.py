"""HTTP/1.1 for clients that get on with it: a request that never becomes whole is let go.

uvicorn waits for ever for the rest of a request. It has a limit between two requests only, and
the first byte of the next lifts that.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Punctual(H11Protocol):
    """uvicorn's HTTP/1.1, which closes a connection whose request does not come."""

    #: Seconds within which a connection must bring the whole head of its next request.
    head = 30.0
    #: Seconds in which a body must have grown.
    pause = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._alarm: asyncio.TimerHandle | None = None
        self._has_grown = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait(self.head)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._has_grown = True
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; in the middle of another answer there is no way to say so."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
            if self.cycle is not None:  # its answer would come after this one
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait(self.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self._alarm is not None:
            self._alarm.cancel()

    def _wait(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._has_grown = False
        self._alarm = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Close the connection if its request is late; look again while a body comes."""
        if self.transport.is_closing():
            return
        is_head, is_body = (self.conn.their_state is state for state in (h11.IDLE, h11.SEND_BODY))
        # What we do not read, as its reader is slow, cannot come.
        has_stopped = not self._has_grown and not self.flow.read_paused
        if is_head or (is_body and has_stopped):
            self.transport.close()
        elif is_body:
            self._wait(self.pause)

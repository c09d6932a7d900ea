"""A bad wire: a TCP proxy that makes a real server slow, late or cut off."""

from __future__ import annotations

import asyncio

from .listener import Listener


class Wire(Listener):
    """Forwards connections to the target; the faults may be changed at any time.

    rate: bytes a second from the server, for each connection.  cut: bytes from the server after
    which a connection breaks.  delay: seconds before the server's first byte.  0 means no fault.
    """

    rate: float = 0
    cut: int = 0
    delay: float = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side closes it, or the cut."""
        from_server, to_server = await asyncio.open_connection(*self.target)
        ways = [
            asyncio.create_task(self._forward(reader, to_server)),
            asyncio.create_task(self._answer(from_server, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_server.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while data := await reader.read(max(1, int(self.rate / 20)) if self.rate else 1 << 16):
            if self.delay and not sent:
                await asyncio.sleep(self.delay)
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)
            whole = not self.cut or sent + len(data) <= self.cut
            writer.write(data if whole else data[: self.cut - sent])
            await writer.drain()
            if not whole:
                return
            sent += len(data)


def start(target: str, *, rate: float = 0, cut: int = 0, delay: float = 0) -> Wire:
    """Put a wire in front of `target`, a URL or host:port; its own address is `.url`."""
    wire = Wire(target)
    wire.rate, wire.cut, wire.delay = rate, cut, delay
    return wire

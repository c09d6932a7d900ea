"""A proxy that answers some requests to a daemon in its stead, byte for byte as it is told."""

from __future__ import annotations

import asyncio

from scripts.testbed.listener import Listener

JSON = "application/json"
LINES = "application/x-ndjson"


def page(status: str, body: str | bytes = b"", kind: str = JSON, **headers: str) -> bytes:
    """Return a response as it stands on the wire; `_` in a header's name stands for `-`."""
    data = body.encode() if isinstance(body, str) else body
    named = {"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + data


def lines(*parts: str | bytes) -> bytes:
    """Return the beginning of a stream: it goes on until the connection is closed."""
    body = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return page("200 OK", b"", LINES, Content_Length="") + body


class Spoilt(Listener):
    """Forwards requests, but for those whose path is in `answers`; how often is in `asked`."""

    def __init__(self, target: str) -> None:
        self.answers: dict[str, bytes] = {}
        #: Times that the last piece of an answer is sent, 65,536 bytes at a time.
        self.endless: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(target)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; the connection is closed after it."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").rstrip().split("\r\n")
        headers = [line for line in rest if not line.lower().startswith("connection:")]
        sizes = [line for line in headers if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(sizes[0].partition(":")[2])) if sizes else b""
        path = first.split(" ")[1]
        self.asked.append(path)
        if path in self.answers:
            writer.write(self.answers[path])
            await writer.drain()
            while more := self.endless.get(path):
                writer.write(more)
                await writer.drain()
            return
        from_daemon, to_daemon = await asyncio.open_connection(*self.target)
        try:
            asked = "\r\n".join([first, *headers, "Connection: close", "", ""])
            to_daemon.write(asked.encode("latin-1") + body)
            while data := await from_daemon.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            to_daemon.transport.abort()

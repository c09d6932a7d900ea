"""A TCP server in a thread: what the wire and the recorder are made of."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import urlsplit

from .stoppable import Stoppable


class Listener(Stoppable):
    """Serves connections on a free loopback port; a subclass says how in `serve`."""

    def __init__(self, target: str) -> None:
        """Start listening; `target` is the URL or host:port of the server behind."""
        parts = urlsplit(target if "://" in target else f"http://{target}")
        self.target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._main()], daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        """Where to connect instead of to the target."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is closed at the end."""
        raise NotImplementedError

    async def _main(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # a side has gone, or we stop
        finally:
            writer.close()
            self._connections.discard(task)

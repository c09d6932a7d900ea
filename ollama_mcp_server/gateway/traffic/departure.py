"""Clients that go away: their work ends, and so do its place in the line and its generation."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Departure:
    """ASGI middleware: cancels the work for a client that hangs up before it has its answer.

    Without it a route learns of that when it sends, which a waiting one does not.
    """

    def __init__(self, app: ASGIApp, elsewhere: Collection[str] = ()) -> None:
        """Watch the clients of an app, but for the paths `elsewhere`, such as the MCP endpoint.

        There a closed connection need not be the end: by the older protocol the client may come
        back for its answer.
        """
        self.app = app
        self._elsewhere = frozenset(elsewhere)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, until the client is gone."""
        if scope["type"] != "http" or scope["path"] in self._elsewhere:
            await self.app(scope, receive, send)
            return
        with anyio.CancelScope() as work:
            client = _Client(receive, send, work)
            if not {b"content-length", b"transfer-encoding"} & dict(scope["headers"]).keys():
                await client.listen()  # there is no body that the app might read
            try:
                await self.app(scope, client.receive, client.send)
            finally:
                client.forget()


class _Client:
    """One request's client, listened to once its body is there."""

    def __init__(self, receive: Receive, send: Send, work: anyio.CancelScope) -> None:
        self._receive = receive
        self._send = send
        self._work = work
        self._first: Message | None = None
        self._gone = anyio.Event()
        self._answered = False
        self._listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Take the empty body, and listen."""
        self._first = await self._take()

    async def receive(self) -> Message:
        """Return the next part of the body; after the last, that the client is gone, once it is."""
        if self._first is not None:
            message, self._first = self._first, None
            return message
        if self._listening is None:
            return await self._take()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send, and notice when the answer is complete."""
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._answered = True  # what ends now is no departure
        await self._send(message)

    def forget(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()

    async def _take(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
        elif not message.get("more_body"):
            self._listening = asyncio.create_task(self._wait())
        return message

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        self._gone.set()
        if not self._answered:
            self._work.cancel()

"""The server: it records requests, plays scripts and notices clients that leave."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .library import Library
from .wire import LINES, STREAMED, WHOLE, Answer, Part, Request


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, but the application may close the connection in mid-answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "transport": transport}, receive, send)

        self.app = with_transport


class FakeOllama:
    """The fake daemon: `with FakeOllama() as daemon` serves it at `daemon.url`.

    `requests` is the record; `library` what is answered without a script; `pace` the seconds
    between the parts of such answers (0).
    """

    url: str

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.library = Library()
        self.pace = 0.0
        self._script: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._gates: dict[str, asyncio.Event] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                port=0,
                interface="asgi3",
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )

    def __enter__(self) -> FakeOllama:
        self._thread.start()
        self.wait_for(lambda: self._server.started, 10)
        host, port = self._server.servers[0].sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def reset(self) -> None:
        """Hang up on whoever still waits; forget scripts, holds and requests; new library."""

        async def hang_up() -> None:
            for task in self._answering:
                task.cancel()
            self._script.clear()
            self._gates.clear()
            self.requests, self.library, self.pace = [], Library(), 0.0

        asyncio.run_coroutine_threadsafe(hang_up(), self._loop).result(10)

    def reply(
        self,
        path: str,
        *parts: Part,
        status: int = 200,
        error: str | None = None,
        headers: dict[str, str] | None = None,
        times: int = 1,
        delay: float = 0.0,
        cut: bool = False,
    ) -> None:
        """Queue an answer for the next requests to a path.

        Args:
            path: the request's path, such as `/api/chat`.
            parts: a dict is sent as JSON, a str or bytes as it is, a number is a pause in
                seconds, a callable gets the Request and returns such a part.
            status: the HTTP status.
            error: a last part `{"error": error}`.
            headers: further headers; a `Content-Type` replaces the usual one.
            times: how many requests get this answer.
            delay: seconds before the status line.
            cut: drop the connection after the parts; without parts, before the status line.
        """
        said = (*parts, {"error": error}) if error is not None else parts
        named = {key.lower(): value for key, value in (headers or {}).items()}
        kind = named.pop("content-type", "")
        self._script[path].extend([Answer(said, kind, status, named, delay, cut)] * times)

    def hold(self, path: str) -> None:
        """Accept requests to a path and answer nothing until `release` or `reset`."""
        self._gates.setdefault(path, asyncio.Event())

    def release(self, path: str) -> None:
        """Let the held requests to a path go on to their answers."""
        self._loop.call_soon_threadsafe(self._gates.pop(path).set)

    def wait_for(self, condition: Callable[[], bool], timeout: float = 2.0) -> None:
        """Block until a condition holds; raises TimeoutError after `timeout` seconds.

        It stops the caller's event loop too: a client that runs there needs `until`.
        """
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout} s")
            time.sleep(0.002)

    async def until(self, condition: Callable[[], bool], timeout: float = 2.0) -> None:
        """`wait_for` while the caller's event loop runs on."""
        await asyncio.to_thread(self.wait_for, condition, timeout)

    # From here on everything runs on the server's own loop.

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        request = Request(scope["method"], scope["path"], headers)
        self.requests.append(request)
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                request.closed_early = True
                return
            request.raw += event["body"]
            more = event["more_body"]
        try:
            request.body = json.loads(request.raw)
        except ValueError:
            request.body = None
        answering = asyncio.create_task(self._answer(request, send, scope["transport"]))
        leaving = asyncio.create_task(receive())  # ends with the client, or with the answer
        self._answering.add(answering)
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        self._answering.discard(answering)
        if answering.cancelled():  # by reset
            scope["transport"].close()
        elif answering.done():
            answering.result()  # raises what a callable part raised
        else:
            request.closed_early = answering.cancel()
        await leaving
        request.done = not request.closed_early

    async def _answer(self, request: Request, send: Any, transport: asyncio.Transport) -> None:
        """Send the next scripted answer or the library's."""
        if gate := self._gates.get(request.path):
            await gate.wait()
        script = self._script.get(request.path)
        pace = 0.0 if script else self.pace
        answer = script.popleft() if script else self.library.answer(request)
        await asyncio.sleep(answer.delay)
        kind = answer.kind
        if answer.parts and not kind:
            streams = request.path in STREAMED and answer.status == 200
            whole = isinstance(request.body, dict) and request.body.get("stream") is False
            kind = LINES if streams and not whole else WHOLE
        if answer.parts or not answer.cut:
            named = {**answer.headers, **({"content-type": kind} if kind else {})}
            raw = [(key.encode(), value.encode()) for key, value in named.items()]
            await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        for part in answer.parts:
            while callable(part):
                part = part(request)
            if isinstance(part, (int, float)):
                await asyncio.sleep(part)
                continue
            if isinstance(part, dict):
                part = json.dumps(part, ensure_ascii=False) + ("\n" if kind == LINES else "")
            data = part.encode() if isinstance(part, str) else part
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await asyncio.sleep(pace)
        if answer.cut:
            transport.close()
        else:
            await send({"type": "http.response.body", "body": b""})

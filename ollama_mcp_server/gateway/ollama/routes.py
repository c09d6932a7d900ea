"""Ollama's own API: the daemon's routes as they are, and a chat that may use tools."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...agent.events import Ended
from ...daemon.wire import Part, encode
from ...delegation.choice import resolve
from ...errors import InvalidArgument
from ...progress import Progress
from ..errors import OWN
from ..runs.asked import Asked, alone, asked, check, wanted
from ..runs.standing import Standing
from ..traffic.outlet import Outlet
from ..traffic.relay import Relay, read
from .chunks import LINES, WHOLE, Chunks

if TYPE_CHECKING:
    from ..access.caller import Caller
    from ..gate import Gate

#: Routes that ask a model, beside the chat.
ASKING = ("/api/generate", "/api/embed", "/api/embeddings")


def router(gate: Gate) -> APIRouter:
    """Return the routes; also of the daemon's that we do not know."""
    relays: dict[str, Relay] = {
        "/api/chat": Chat(gate),
        **dict.fromkeys(ASKING, Relay(gate, waits=True)),
        "/api/blobs/{digest}": Relay(gate, streams=True),
        "/api/{path:path}": Relay(gate),
    }
    ours = [Route(path, PostOnly()) for path in OWN]
    return APIRouter(routes=[*ours, *(Route(path, relay) for path, relay in relays.items())])


class PostOnly:
    """ASGI app: what a route of our own among Ollama's says to other methods than its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the method; the daemon, which would be asked next, has no such route."""
        raise HTTPException(405, headers={"Allow": "POST"})


class Chat(Relay):
    """ASGI app: `/api/chat` as the daemon has it, or with the tools of MCP servers."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate, waits=True)
        self._standing = Standing(gate.app.settings)

    async def work(self, scope: Scope, body: bytes, outlet: Outlet) -> None:
        """Answer a request whose body was read.

        Raises:
            OllamaMCPError: it asks for what the caller may not have, or it cannot be answered.
        """
        told, caller = read(body), scope["state"]["caller"]
        # without messages it loads its model or unloads it; without a model it is wrong
        if isinstance(told, dict) and told.get("messages") and told.get("model"):
            want = wanted(told)
            if want.explicitly:
                check(told, want, caller)
                await self._loop(asked(told), caller, outlet)
                return
            may = want.mcp_servers is None and caller.may("agent") and not alone(told)
            if may and await self._standing.any() and (chat := _sound(told)) is not None:
                await self._loop(chat, caller, outlet)
                return
        await super().work(scope, body, outlet)

    async def _loop(self, chat: Asked, caller: Caller, outlet: Outlet) -> None:
        """Let the model work with tools, and show what happens as Ollama would."""
        app, task = self.gate.app, chat.task()
        chunks = Chunks(
            chat.model,
            whole=chat.stream is False,
            form=task.format,
            mixed=bool(task.client_tools),
        )
        kind, end = (WHOLE, b"") if chunks.whole else (LINES, b"\n")
        model = resolve(chat.model, app.settings).model
        async with (
            self.gate.limits.place(caller, model) as held,
            aclosing(app.agent.run(task, Progress(None, "starting"))) as events,
        ):
            async for event in events:
                if isinstance(event, Ended):
                    held.count(event.run.prompt_tokens + event.run.completion_tokens)
                for part in chunks.of(event):
                    if not outlet.status:
                        outlet.start(200, [(b"content-type", kind)])
                    await outlet.write(encode(part) + end)


def _sound(told: Part) -> Asked | None:
    """Return a chat that asks for no tools of servers; None if it is the daemon's to refuse."""
    try:
        return asked(told)
    except InvalidArgument:
        return None

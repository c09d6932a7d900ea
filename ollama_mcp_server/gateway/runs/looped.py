"""Routes of chats that the daemon answers itself, or an agent with the tools of MCP servers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from starlette.types import Scope

from ...agent.events import Ended
from ...daemon.wire import Part, encode
from ...delegation.choice import resolve
from ...errors import InvalidArgument
from ...progress import Progress
from ..traffic.outlet import Outlet
from .aliased import Aliased
from .asked import Wanted, wanted
from .chat import Chat, read_chat
from .direct import direct, read_pictures
from .standing import Standing
from .telling import Telling

if TYPE_CHECKING:
    from ..access.caller import Caller
    from ..gate import Gate

#: How a chat is answered: by the daemon's own route, by one question of ours, by an agent.
Way: TypeAlias = Literal["relay", "direct", "agent"]


class Looped(Aliased):
    """ASGI app: a route of chats."""

    def __init__(self, gate: Gate, api: Api) -> None:
        super().__init__(gate, ends=api.ends)
        self._api = api
        self._standing = Standing(gate.app.settings)

    async def serve(self, scope: Scope, body: bytes, told: Any, outlet: Outlet) -> None:
        """Answer a request; `told` is its body as data.

        Raises:
            OllamaMCPError: it asks for what the caller may not have, or it cannot be answered.
        """
        caller = scope["state"]["caller"]
        if isinstance(told, dict):
            want = self._api.wanted(told)
            if want.explicitly:
                check(want, caller)
            standing = want.mcp_servers is None and caller.may("agent")
            standing = standing and await self._standing.any()
            way, chat = self._way(told, want, standing=standing)
            if chat is not None and way != "relay":
                try:
                    await self._answer(chat, told, way, caller, outlet)
                except UnicodeEncodeError:
                    raise InvalidArgument(
                        "the text holds characters that are not valid Unicode (a lone surrogate)",
                        "Send plain UTF-8 text",
                    ) from None
                return
            if chat is not None and chat.tool_choice == "none":
                told = {name: value for name, value in told.items() if name not in _TOOLS}
                body = encode(told)  # the daemon would offer them all the same
        await self.pass_on(scope, body, told, outlet)

    def _way(self, told: Part, want: Wanted, *, standing: bool) -> tuple[Way, Chat | None]:
        """Return how a request is answered, and the chat that it is, if that was read.

        What the request does not demand of us, and we cannot do, is left to the daemon to judge.

        Raises:
            InvalidArgument: it demands what it cannot have.
        """
        name = told.get("model")
        profile = isinstance(name, str) and resolve(name, self.gate.app.settings).profile
        demands = told.get("tool_choice") not in (None, "auto")
        if not (want.explicitly or standing or profile or demands):
            return "relay", None
        try:
            chat = read_chat({**self._api.to_chat(told), **want.model_dump(exclude_none=True)})
            chat.body()
            if chat.lacks and (want.explicitly or profile):
                raise InvalidArgument(f"{chat.lacks} cannot be had here", "Leave it out")
        except InvalidArgument:
            if want.explicitly or profile:
                raise
            return "relay", None
        if chat.functions() and chat.tool_choice not in (None, "auto"):
            return ("relay" if chat.lacks else "direct"), chat
        if chat.tool_choice != "none" and (want.explicitly or (standing and not chat.lacks)):
            return "agent", chat
        return ("direct" if want.explicitly or profile else "relay"), chat

    async def _answer(
        self, chat: Chat, told: Part, way: Way, caller: Caller, outlet: Outlet
    ) -> None:
        """Answer in the API's form."""
        app, telling = self.gate.app, self._api.telling(chat, told)
        model = resolve(chat.model, app.settings).model
        progress = Progress(None, "starting")
        async with self.gate.limits.place(caller, model) as held:
            if way == "agent":
                task = chat.task()
                await read_pictures(task.messages, app)
                happens = app.agent.run(task, progress)
            else:
                happens = direct(app, chat, progress)
            async with aclosing(happens) as events:
                async for event in events:
                    if isinstance(event, Ended):
                        held.count(event.run.prompt_tokens + event.run.completion_tokens)
                    for piece in telling.of(event):
                        if not outlet.status:
                            outlet.start(200, [(b"content-type", telling.kind)])
                        await outlet.write(piece)


@dataclass(frozen=True)
class Api:
    """What differs between the APIs."""

    #: Returns OpenAI's chat.completions request for one of the API's.
    to_chat: Callable[[Part], Part]
    #: Returns who tells a run, for a chat and the request that it was made from.
    telling: Callable[[Chat, Part], Telling]
    #: What one of the last events of a whole stream holds.
    ends: tuple[bytes, ...]
    #: Returns what a request says about MCP servers.
    wanted: Callable[[Part], Wanted] = wanted


#: What tool_choice none leaves out.
_TOOLS = ("tools", "tool_choice")


def check(want: Wanted, caller: Caller) -> None:
    """Let a chat pass that may have the tools it asks for.

    Raises:
        PermissionDenied: the caller may not use tools of servers, or not define servers.
    """
    caller.check("agent")
    if any(isinstance(server, dict) for server in want.mcp_servers or ()):
        caller.check("admin")

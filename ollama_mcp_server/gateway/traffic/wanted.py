"""Which of several Ollama hosts a request is for, and which has answered it: in a header."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...daemon.hosts.errand import check_host, errand
from ...errors import InvalidArgument
from ..errors import refusal

HEADER = b"x-ollama-host"


class Wanted:
    """ASGI middleware: X-Ollama-Host names the host that is meant, and the one that answered.

    An answer has it where it is known when the answer begins: for all that the daemon says itself.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """Serve an app whose models are on these hosts."""
        self.app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request on the errand to its host."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = dict(scope["headers"]).get(HEADER, b"").decode("latin-1") or None
        try:
            if name is not None:
                check_host(name, self._hosts)
        except InvalidArgument as error:
            await refusal(error, scope["path"])(scope, receive, send)
            return
        with errand(name, self._hosts) as gone:

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start" and gone.answered:
                    headers = [*message.get("headers", ()), (HEADER, gone.answered.encode())]
                    message = {**message, "headers": headers}
                await send(message)

            await self.app(scope, receive, told)

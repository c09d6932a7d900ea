"""Routes of the daemon's `/v1`: where aliases are models, and a stream without its end an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from ...daemon.relay import Headers
from ...daemon.wire import encode
from ...delegation.choice import resolve
from ...errors import DaemonError
from ..traffic.outlet import Outlet
from ..traffic.relay import Relay, read
from .alive import kept_alive

if TYPE_CHECKING:
    from ..gate import Gate


class Aliased(Relay):
    """ASGI app: a route of the daemon's, where aliases and profiles are models as well."""

    def __init__(self, gate: Gate, *, ends: tuple[bytes, ...] = ()) -> None:
        """Relay to the gate's daemon.

        Args:
            gate: what the routes share.
            ends: what one of the last events of a whole stream holds.
        """
        super().__init__(gate, waits=True)
        self._ends = ends

    async def work(self, scope: Scope, body: bytes, outlet: Outlet) -> None:
        """Answer a request whose body was read.

        Raises:
            OllamaMCPError: the caller may not use the model, or the daemon cannot be reached.
        """
        told = read(body)
        streams = isinstance(told, dict) and told.get("stream") is True
        if streams:  # a sign of life fits into no compressed stream
            plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
            scope = {**scope, "headers": plain}
        async with kept_alive(outlet, scope["path"], streams=streams) as alive:
            await self.serve(scope, body, told, alive)

    async def serve(self, scope: Scope, body: bytes, told: Any, outlet: Outlet) -> None:
        """Answer a request; `told` is its body as data. Raises as `work` does."""
        await self.pass_on(scope, body, told, outlet)

    async def pass_on(self, scope: Scope, body: bytes, told: object, outlet: Outlet) -> None:
        """Let the daemon answer; the body goes as it came, but for the name of an alias.

        Raises:
            OllamaMCPError: as `work`; or the daemon's stream had no end.
        """
        if isinstance(told, dict) and isinstance(name := told.get("model"), str):
            model = resolve(name, self.gate.app.settings).model
            if model != name:
                body = encode({**told, "model": model})
        watched = Watched(outlet, self._ends)
        await super().work(scope, body, watched)
        watched.check()


class Watched(Outlet):
    """Passes an answer on to an outlet, and knows whether a stream came to its end.

    The daemon's `/v1` ends a stream that fails in the middle without a word.
    """

    def __init__(self, outlet: Outlet, ends: tuple[bytes, ...]) -> None:
        super().__init__()
        self._outlet = outlet
        self._ends = ends
        self._tail = b""
        self._is_whole = True

    def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        kind = dict(headers).get(b"content-type", b"")
        self._is_whole = not (kind.startswith(b"text/event-stream") and self._ends)
        self._outlet.start(status, headers)

    async def write(self, piece: bytes) -> None:
        """Add to the answer; raises as the outlet does."""
        if not self._is_whole:
            seen = self._tail + piece
            self._is_whole = any(end in seen for end in self._ends)
            self._tail = seen[-64:]
        await self._outlet.write(piece)

    def check(self) -> None:
        """Let an answer pass that is whole.

        Raises:
            DaemonError: a stream ended before its end.
        """
        if not self._is_whole:
            raise DaemonError(
                "the answer broke off before its end",
                "Call again, and look at the daemon's log if it happens twice",
            )

"""What the server is at, for people and for probes: `/gateway/status`, its events, `/metrics`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
from fastapi import APIRouter
from pydantic import BaseModel, Field
from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ... import __version__
from ...daemon.hosts.survey import survey as survey_hosts
from ...daemon.installed import only_looking
from ...daemon.inventory import row_of
from ...daemon.results import RunningModel
from ...daemon.wire import Part
from ...errors import OllamaMCPError
from ...resources.servers import Server, survey
from ..gate import caller_of
from .probes import PATIENCE, readiness

if TYPE_CHECKING:
    from ..access.caller import Caller
    from ..gate import Gate

#: Seconds between two events, and for how long what the daemon and the servers are at holds.
BEAT = 1.0
FRESH = 2.0


class Daemon(BaseModel):
    """The Ollama daemon."""

    url: str
    version: str | None = None
    error: str | None = Field(None, description="Why it cannot be asked.")


class Queue(BaseModel):
    """The line in front of the daemon."""

    running: int
    waiting: int
    parallel: int = Field(description="Requests that may run at once.")
    queue: int = Field(description="Requests that may wait.")


class Live(BaseModel):
    """A request that is being answered."""

    id: str
    route: str
    caller: str | None = Field(description="Whose it is; others' only for admins.")
    model: str | None
    phase: str = Field(description="waiting, asking (it loads or reads), writing or working.")
    seconds: float
    tokens: int
    tokens_per_second: float | None


class Status(BaseModel):
    """What the server is at."""

    version: str
    daemon: Daemon
    hosts: list[Part] | None = Field(
        None, description="Of several Ollama hosts, what each is at: name, url, state, requests, …"
    )
    models: list[RunningModel] = Field(description="Models in memory, as the daemon tells.")
    queue: Queue
    requests: list[Live]
    written: int = Field(description="Tokens written since the start, of all requests.")
    servers: list[Server] | None = Field(description="MCP servers; only with the scope agent.")
    servers_error: str | None = Field(None, description="Why they cannot be read.")


class Board:
    """What everybody who looks is shown; the daemon is asked once for all."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._looked = -FRESH
        self._looking = asyncio.Lock()
        self._daemon = Daemon(url=gate.app.settings.address.url)
        self._hosts: list[Part] | None = None
        self._models: list[RunningModel] = []
        self._servers: list[Server] = []
        self._servers_error: str | None = None

    async def status(self, caller: Caller) -> Status:
        """Return what a caller may see."""
        async with self._looking:
            if time.monotonic() - self._looked > FRESH:
                await self._look()
                self._looked = time.monotonic()
        line, live = self._gate.limits.line, self._gate.metrics.live
        sees, admin = caller.may("agent"), caller.may("admin")
        requests = [Live(**row) for row in live.rows()]
        for request in requests:
            if request.caller != caller.name and not admin:
                request.caller = None
        return Status(
            version=__version__,
            daemon=self._daemon,
            hosts=self._hosts,
            models=self._models,
            queue=Queue(
                running=line.running, waiting=line.waiting, parallel=line.places, queue=line.queue
            ),
            requests=requests,
            written=live.written,
            servers=self._servers if sees else None,
            servers_error=self._servers_error if sees else None,
        )

    async def _look(self) -> None:
        app = self._gate.app
        if hosts := app.client.hosts:
            self._hosts = await survey_hosts(hosts)
        try:
            with anyio.fail_after(PATIENCE), only_looking():
                # not by the catalog: what is seen while a model loads must not guide its callers
                version = await app.client.request("GET", "/api/version")
                told = await app.client.request("GET", "/api/ps")
            rows = [row_of(row) for row in told.get("models") or ()]
            self._models = [RunningModel.model_validate(row) for row in rows]
            self._daemon = Daemon(url=app.client.address.url, version=version.get("version"))
        except (OllamaMCPError, TimeoutError) as error:
            self._models = []
            words = str(error).removeprefix("Error: ") or "it does not answer"
            self._daemon = Daemon(url=app.settings.address.url, error=words)
        try:
            self._servers, self._servers_error = await survey(app), None
        except OllamaMCPError as error:
            self._servers, self._servers_error = [], str(error).removeprefix("Error: ")


def router(gate: Gate) -> APIRouter:
    """Return the routes of those who look on."""
    board = Board(gate)
    made = APIRouter(tags=["status"])

    @made.get("/gateway/status", response_model_exclude_none=False)
    async def status(request: Request) -> Status:
        """Tell what runs: models in memory, live requests, the line, MCP servers."""
        return await board.status(caller_of(request))

    async def events(request: Request) -> Response:
        caller = caller_of(request)

        async def follow() -> AsyncIterator[dict[str, str]]:
            while True:
                told = await board.status(caller)
                yield {"event": "status", "data": told.model_dump_json()}
                await asyncio.sleep(BEAT)

        return EventSourceResponse(follow(), sep="\n", send_timeout=30)

    async def figures(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        body, kind = await anyio.to_thread.run_sync(gate.metrics.page, accept)
        return Response(body, headers={"content-type": kind})

    ready = readiness(gate.app)
    for path, answer in (("/gateway/events", events), ("/metrics", figures), ("/ready", ready)):
        made.routes.append(Route(path, answer, methods=["GET"]))
    return made

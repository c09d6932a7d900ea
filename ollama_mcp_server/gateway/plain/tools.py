"""Every tool as a route: `POST /tools/{server}/{tool}`, and the documents that describe them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...errors import InvalidArgument
from ...resources.servers import survey
from ..gate import caller_of
from ..traffic.body import KEY, REFUSALS, parsed
from ..traffic.outlet import Intake
from . import openapi
from .calls import Calls
from .openapi import ROOT, Served
from .outcomes import Told
from .own import NAME

if TYPE_CHECKING:
    from ...agent.definitions.documents import Definition
    from ..gate import Gate

OURS = "The tools of this server: models of the local Ollama daemon, and what is done with them."
#: What the description of the route says of its body.
ARGUMENTS = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}


def router(gate: Gate) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["tools"], dependencies=[KEY])
    calls = Calls(gate)
    documents = Documents(gate, calls)

    @routes.get(ROOT, summary="Servers and tools", responses=REFUSALS)
    async def index(request: Request) -> Response:
        """Show each server, how it is, and where its OpenAPI document is; nothing is started."""
        return Told(await documents.index(request))

    @routes.get(f"{ROOT}/openapi.json", summary="OpenAPI of all tools", responses=REFUSALS)
    async def all_tools(request: Request) -> Response:
        """Describe every tool of every server that can be started."""
        return Told(await documents.whole(request))

    @routes.get(
        f"{ROOT}/{{server}}/openapi.json", summary="OpenAPI of a server", responses=REFUSALS
    )
    async def tools_of(request: Request, server: str) -> Response:
        """Describe every tool of one server; `ollama` is this server."""
        return Told(await documents.single(request, server))

    @routes.post(
        f"{ROOT}/{{server}}/{{tool:path}}",
        summary="Call a tool",
        responses=REFUSALS,
        openapi_extra=ARGUMENTS,
    )
    async def call(request: Request, server: str, tool: str, path: str | None = None) -> Response:
        """Call a tool with the body as its arguments.

        It answers structured content, or else text as a JSON string; with pictures, a list. `path`
        is the folder that a server works in, for one that needs a folder.
        """
        arguments = parsed(await Intake(request.receive).whole())
        return Told(await calls.make(caller_of(request), server, tool, arguments, path=path))

    return routes


class Documents:
    """The OpenAPI documents, made of what there is now."""

    def __init__(self, gate: Gate, calls: Calls) -> None:
        self._app = gate.app
        self._calls = calls

    async def index(self, request: Request) -> dict[str, Any]:
        """Return each server, its state, its tools if they are known, and its document's path."""
        base = _base(request)
        listed: list[dict[str, Any]] = []
        if caller_of(request).may("agent"):
            listed = [one.lean() for one in await survey(self._app) if one.name != NAME]
        names = [tool.name for tool in await self._calls.own.tools()]
        ours = {"name": NAME, "description": OURS, "state": "up", "tools": names}
        return {
            "servers": [
                {**one, "openapi": f"{base}{ROOT}/{quote(one['name'], safe='')}/openapi.json"}
                for one in (ours, *listed)
            ],
            "openapi": f"{base}{ROOT}/openapi.json",
        }

    async def whole(self, request: Request) -> dict[str, Any]:
        """Return the document of all servers, connected side by side.

        What keeps the configured ones from being read is told in it, beside our own tools.
        """
        servers = [await self._ours()]
        if caller_of(request).may("agent"):
            try:
                every = await self._calls.foreign.definitions()
            except InvalidArgument as error:
                servers[0] = replace(servers[0], note=error.message)
            else:
                others = [self._served(one) for one in every if one.name != NAME]
                servers += await asyncio.gather(*others)
        return await anyio.to_thread.run_sync(
            lambda: openapi.whole(servers, base=_base(request), refuses=self._refuses)
        )

    async def single(self, request: Request, name: str) -> dict[str, Any]:
        """Return the document of one server; of one that is down it lists nothing.

        Raises:
            NotFound: there is no such server.
            PermissionDenied: the caller may not use it.
        """
        if name == NAME:
            served = await self._ours()
        else:
            caller_of(request).check("agent")
            served = await self._served(await self._calls.foreign.definition(name))
        return await anyio.to_thread.run_sync(
            lambda: openapi.single(served, base=_base(request), refuses=self._refuses)
        )

    @property
    def _refuses(self) -> bool:
        return not self._app.settings.allow_destructive

    async def _ours(self) -> Served:
        return Served(NAME, OURS, await self._calls.own.tools(), is_own=True)

    async def _served(self, definition: Definition) -> Served:
        tools, note = await self._calls.foreign.tools(definition)
        return Served(definition.name, definition.description or "", tools, note)


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")

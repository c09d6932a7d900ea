"""What surrounds resources and prompts: what there is to list, errors made readable."""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import anyio
import mcp_types
from fastmcp import Context
from fastmcp.exceptions import NotFoundError, PromptError, ResourceError
from fastmcp.prompts import Prompt, PromptResult
from fastmcp.resources import Resource, ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from .app import App
from .daemon.installed import only_looking
from .errors import InvalidArgument, ModelNotFound, NotFound, OllamaMCPError
from .glance import PATIENCE
from .resources import batches, conversations, models

#: Lists the resources that a template stands for.
Source = Callable[[Context], Awaitable[list[Resource]]]
SOURCES: tuple[Source, ...] = (
    models.instances,
    conversations.instances,
    batches.instances,
)
#: The code for a resource that is not there, until 2025-11-25; since then it is INVALID_PARAMS.
RESOURCE_NOT_FOUND = -32002

Read = MiddlewareContext[mcp_types.ReadResourceRequestParams]
Get = MiddlewareContext[mcp_types.GetPromptRequestParams]
List = MiddlewareContext[mcp_types.ListResourcesRequest]


async def instances(ctx: Context) -> list[Resource]:
    """Return what the templates stand for now, as far as the caller may see it.

    What the daemon or the store does not tell in time is left out: a list must not hang, nor fail.
    """
    lists = await asyncio.gather(*(_listed(source, ctx) for source in SOURCES))
    return [resource for listed in lists for resource in listed]


async def _listed(source: Source, ctx: Context) -> list[Resource]:
    with anyio.move_on_after(PATIENCE), suppress(OllamaMCPError), only_looking():
        return await source(ctx)
    return []


class Reading(Middleware):
    """The one middleware around resources and prompts."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def on_list_resources(
        self, context: List, call_next: CallNext[mcp_types.ListResourcesRequest, Sequence[Resource]]
    ) -> Sequence[Resource]:
        """Add what there is now to what there always is."""
        return [*await call_next(context), *await instances(_of(context))]

    async def on_read_resource(
        self,
        context: Read,
        call_next: CallNext[mcp_types.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read a resource; every failure is told with what to do, and the protocol's own code."""
        uri = str(context.message.uri)
        try:
            return await call_next(context)
        except OllamaMCPError as error:
            await self.app.catalog.explain(error)
            raise _told(error, _is_old(context), uri=uri) from error
        except NotFoundError:
            static = await _of(context).fastmcp.list_resources(run_middleware=False)
            near = _near(uri, [str(resource.uri) for resource in static])
            hint = f"Did you mean {near}?" if near else "resources/list has those that there are"
            missing = NotFound(f"there is no resource {uri}", hint)
            raise _told(missing, _is_old(context), uri=uri) from None
        except ResourceError as error:  # a fault of ours; FastMCP has logged its traceback
            raise _told(_internal(uri), uri=uri) from error

    async def on_get_prompt(
        self, context: Get, call_next: CallNext[mcp_types.GetPromptRequestParams, PromptResult]
    ) -> PromptResult:
        """Render a prompt; wrong arguments are named, not their values."""
        name = context.message.name
        server = _of(context).fastmcp
        prompt = await server.get_prompt(name)
        if prompt is not None and (fault := faults(prompt, context.message.arguments or {})):
            raise _told(fault)
        try:
            return await call_next(context)
        except OllamaMCPError as error:
            raise _told(error) from error
        except NotFoundError:
            near = _near(
                name, [each.name for each in await server.list_prompts(run_middleware=False)]
            )
            hint = f"Did you mean {near}?" if near else "prompts/list has those that there are"
            raise _told(InvalidArgument(f"there is no prompt {name!r}", hint)) from None
        except PromptError as error:  # a fault of ours; FastMCP has logged its traceback
            raise _told(_internal(name)) from error


def faults(prompt: Prompt, given: dict[str, Any]) -> InvalidArgument | None:
    """Return what is wrong with the names of a prompt's arguments; menus send "" for no text."""
    known = {argument.name: argument for argument in prompt.arguments or ()}
    if wrong := [name for name in given if name not in known]:
        near = _near(wrong[0], known)
        hint = f"Did you mean {near}?" if near else f"Known are {', '.join(known)}"
        return InvalidArgument(f"{prompt.name}: unknown argument {wrong[0]}", hint)
    for name, argument in known.items():
        if argument.required and not str(given.get(name) or "").strip():
            return InvalidArgument(
                f"{prompt.name}: {name} is missing", argument.description or f"Give {name}"
            )
    return None


def _told(error: OllamaMCPError, old: bool = False, **data: Any) -> MCPError:
    """Return an error as the protocol has it for what is no tool call."""
    code = mcp_types.INTERNAL_ERROR
    if isinstance(error, InvalidArgument | NotFound | ModelNotFound):
        code = mcp_types.INVALID_PARAMS
    if old and isinstance(error, NotFound | ModelNotFound):
        code = RESOURCE_NOT_FOUND
    message = str(error).removeprefix("Error: ")
    return MCPError(code=code, message=message, data={**data, **error.as_dict()})


def _internal(what: str) -> OllamaMCPError:
    return OllamaMCPError(
        f"{what} failed inside this server", "The server's log (stderr) has the details"
    )


def _of(context: MiddlewareContext[Any]) -> Context:
    assert context.fastmcp_context is not None  # noqa: S101 - for the type checker
    return context.fastmcp_context


def _is_old(context: MiddlewareContext[Any]) -> bool:
    request = _of(context).request_context
    return request is not None and request.protocol_version not in MODERN_PROTOCOL_VERSIONS


def _near(name: str, known: Any) -> str:
    return " or ".join(difflib.get_close_matches(name, list(known), 3, 0.6))

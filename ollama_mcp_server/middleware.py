"""What surrounds every tool call: names of peers accepted, errors made readable."""

import difflib
import inspect
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import mcp_types
import pydantic
from fastmcp.exceptions import NotFoundError, ToolError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import FunctionTool, Tool, ToolResult
from mcp import MCPError

from .app import App
from .errors import InvalidArgument, OllamaMCPError
from .faults import place, sentence, words

logger = logging.getLogger(__name__)

#: Arguments under the names that Ollama's older API and other servers give them.
RENAMED = {"name": "model", "_debug_render_only": "debug_render_only", "input_text": "input"}
#: Arguments of other servers that mean nothing to tools that lack them: the daemon is always asked
#: to stream, and each result has its text and its object.
IGNORED = ("stream", "format", "timeout")
#: Arguments of other servers that have no counterpart, and what to give instead.
INSTEAD = {"modelfile": "a Modelfile is not read: give from, system, parameters"}
#: Of several faults, this many are told.
MAX_FAULTS = 3

Call = MiddlewareContext[mcp_types.CallToolRequestParams]


class Calls(Middleware):
    """The one middleware around tool calls."""

    def __init__(self, app: App, tools: Mapping[str, "Arguments"]) -> None:
        """Surround the calls of `app` to `tools`, whose arguments are given by name of tool."""
        self.app = app
        self.tools = tools

    async def on_call_tool(
        self, context: Call, call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """Run the call; every failure becomes a result with a text and a structured error."""
        name = context.message.name
        known = self.tools.get(name, Arguments())
        given = accepted(context.message.arguments or {}, known.accepted)
        if given != context.message.arguments:
            message = context.message.model_copy(update={"arguments": given})
            context = context.copy(message=message)
        try:
            return await call_next(context)
        except OllamaMCPError as error:
            await self.app.catalog.explain(error)
            return failure(error)
        except ValidationError as error:
            return failure(InvalidArgument(faults(name, error.__cause__, known.listed)))
        except NotFoundError:
            raise await self._unknown_tool(context, name) from None
        except MCPError:
            raise
        except ToolError:
            # A tool of a user's folder, or a fault of ours; FastMCP has logged its traceback.
            return failure(internal(name))
        # The outermost handler: whatever else goes wrong is told as such, and the server lives.
        except Exception:
            logger.exception("the tool %s failed", name)
            return failure(internal(name))

    async def _unknown_tool(self, context: Call, name: str) -> MCPError:
        """Return the protocol's own error (MCP, tools: -32602 for an unknown tool)."""
        assert context.fastmcp_context is not None  # noqa: S101 - for the type checker
        tools = await context.fastmcp_context.fastmcp.list_tools(run_middleware=False)
        near = difflib.get_close_matches(name, [tool.name for tool in tools], 3, 0.5)
        told = f"Unknown tool: {name!r}."
        if name in self.app.hidden:
            told += f" {self.app.hidden[name]}."
        elif near:
            told += f" Did you mean {' or '.join(near)}?"
        return MCPError(code=mcp_types.INVALID_PARAMS, message=told, data={"nearest": near})


@dataclass(frozen=True)
class Arguments:
    """The names of a tool's arguments: those in its schema, and all that it accepts."""

    listed: list[str] = field(default_factory=list)
    accepted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tool: Tool) -> "Arguments":
        """Return the names of a tool's arguments."""
        listed = list(tool.parameters.get("properties", {}))
        own = inspect.signature(tool.fn).parameters if isinstance(tool, FunctionTool) else ()
        return cls(listed, frozenset([*listed, *own]))


def accepted(arguments: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return a call's arguments under our names, without nulls and what has no meaning here."""
    renamed: dict[str, Any] = {}
    for name, value in arguments.items():
        ours = RENAMED.get(name, name) if name not in known else name
        if value is not None and not (name in IGNORED and name not in known):
            renamed.setdefault(ours if ours not in arguments or ours == name else name, value)
    return renamed


def internal(tool: str) -> OllamaMCPError:
    """Return the error for a fault of this server, which its log has and its caller need not."""
    return OllamaMCPError(
        f"the tool {tool} failed inside this server", "The server's log (stderr) has the details"
    )


def failure(error: OllamaMCPError) -> ToolResult:
    """Return an error as a result: the text for some hosts, the object for the others."""
    return ToolResult(
        content=str(error), structured_content={"error": error.as_dict()}, is_error=True
    )


def faults(tool: str, cause: BaseException | None, known: list[str]) -> str:
    """Return in one or two lines what was wrong with a call's arguments.

    It never repeats a value: that may be a prompt or a picture.
    """
    if not isinstance(cause, pydantic.ValidationError):
        return f"the arguments of {tool} are not valid"
    found = [_fault(error, known) for error in cause.errors(include_url=False, include_input=False)]
    more = f"; and {len(found) - MAX_FAULTS} more" if len(found) > MAX_FAULTS else ""
    return f"{tool}: {'; '.join(dict.fromkeys(found[:MAX_FAULTS]))}{more}"


def _fault(error: Any, known: list[str]) -> str:
    where = place(error["loc"])
    if error["type"] not in ("unexpected_keyword_argument", "extra_forbidden"):
        return sentence(where, words(error))
    if len(error["loc"]) > 1:
        return f"unknown field {where}"
    near = difflib.get_close_matches(where, known, 1, 0.6)
    told = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    told = INSTEAD.get(where, told)
    return f"unknown argument {where} ({told})"

"""Tools of MCP servers as OpenAPI describes them, for clients that make tools of operations.

Such as Open WebUI: it reads `openapi.json` beneath the address that it is given, takes each
`operationId` for a function's name, and posts the arguments to that address and the path. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ... import __version__
from ...agent.guard import bounds
from ...agent.offers.offer import offer
from ...agent.offers.wording import defused
from ..traffic.body import Refused

if TYPE_CHECKING:
    import mcp_types

VERSION = "3.1.0"
#: Where the documents and the operations are.
ROOT = "/tools"
#: Characters of a summary, and of a server's description.
SUMMARY, DESCRIPTION = 120, 1000

_REF = "#/components/schemas/Error"


@dataclass(frozen=True)
class Served:
    """One server as its document tells it."""

    name: str
    description: str
    tools: Sequence[mcp_types.Tool]
    #: Why there are no tools, if the server is not up.
    note: str = ""
    #: Whether its schemas are ours, which need not be shortened.
    is_own: bool = False


def whole(servers: Sequence[Served], *, base: str = "", refuses: bool = True) -> dict[str, Any]:
    """Return the document of all servers; it stands at `ROOT`.

    Args:
        servers: each with its tools.
        base: what a proxy puts before every path.
        refuses: whether tools that may destroy are refused here.
    """
    told = "Every tool of this server and of the MCP servers that are configured for it."
    notes = [defused(one.note, DESCRIPTION) for one in servers if one.note]
    return _document(
        servers,
        title="ollama-mcp-server",
        description="\n\n".join([told, *notes]),
        url=f"{base}{ROOT}",
        paths=_paths(servers, refuses, lambda one: f"/{quote(one.name, safe='')}"),
    )


def single(served: Served, *, base: str = "", refuses: bool = True) -> dict[str, Any]:
    """Return the document of one server; it stands at the server's own path beneath `ROOT`."""
    told = (defused(served.description, DESCRIPTION), defused(served.note, DESCRIPTION))
    return _document(
        [served],
        title=served.name,
        description="\n\n".join(filter(None, told)) or f"The tools of {served.name}.",
        url=f"{base}{ROOT}/{quote(served.name, safe='')}",
        paths=_paths([served], refuses, lambda _: ""),
    )


def _document(
    servers: Sequence[Served], *, title: str, description: str, url: str, paths: dict[str, Any]
) -> dict[str, Any]:
    return {
        "openapi": VERSION,
        "info": {"title": title, "description": description, "version": __version__},
        "servers": [{"url": url}],
        "tags": [
            {"name": one.name, "description": defused(one.description, DESCRIPTION)}
            for one in servers
        ],
        "paths": paths,
        "components": {
            "schemas": {"Error": _error_schema()},
            "responses": {
                "Error": {
                    "description": "What went wrong, and what to do.",
                    "content": {"application/json": {"schema": {"$ref": _REF}}},
                }
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _paths(servers: Sequence[Served], refuses: bool, before: Any) -> dict[str, Any]:
    """Return a POST for each tool, by its path."""
    taken: set[str] = set()
    paths: dict[str, Any] = {}
    for served in servers:
        for name, tool, schema in _operations(served):
            identifier = next(one for one in _numbered(name) if one not in taken)
            taken.add(identifier)
            path = f"{before(served)}/{quote(tool.name, safe='')}"
            refused = refuses and not served.is_own and bounds.destroys(tool)
            paths[path] = {"post": _operation(served, identifier, tool, schema, refused)}
    return paths


def _operations(
    served: Served,
) -> Iterator[tuple[str, mcp_types.Tool, Mapping[str, Any]]]:
    """Yield the tools of a server, each with the name of its function and its parameters."""
    if served.is_own:
        for tool in served.tools:
            yield tool.name, tool, tool.input_schema
        return
    for offered in offer({served.name: served.tools}, "", limit=len(served.tools))[0]:
        yield offered.name, offered.tool, offered.function["function"]["parameters"]


def _operation(
    served: Served,
    identifier: str,
    tool: mcp_types.Tool,
    schema: Mapping[str, Any],
    refused: bool,
) -> dict[str, Any]:
    most = 10 * DESCRIPTION if served.is_own else DESCRIPTION
    description = tool.description or "" if served.is_own else defused(tool.description, most)
    if refused:
        description += " (It may destroy something, and is refused here.)"
    operation: dict[str, Any] = {
        "operationId": identifier,
        "summary": defused(tool.title, SUMMARY) or defused(tool.name, SUMMARY) or identifier,
        "description": description.strip() or f"Call {identifier}",
        "tags": [served.name],
        "responses": {
            "200": {
                "description": "What the tool answered.",
                "content": {"application/json": {"schema": _answer(served, tool)}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if schema.get("properties"):  # for no arguments, Open WebUI sends no body, and demands none
        body = dict(schema) if is_schema(schema) else {"type": "object"}
        operation["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _answer(served: Served, tool: mcp_types.Tool) -> dict[str, Any]:
    schema = tool.output_schema if served.is_own else None
    return schema if schema is not None and is_schema(schema) else {}


def is_schema(schema: Mapping[str, Any]) -> bool:
    """Return whether this is a JSON Schema as OpenAPI 3.1 has it."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError):
        return False
    return True


def _error_schema() -> dict[str, Any]:
    schema = Refused.model_json_schema()
    fault = schema.pop("$defs")["Fault"]
    return {**schema, "properties": {"error": fault}}


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        number += 1
        yield f"{name[: 63 - len(str(number))]}_{number}"

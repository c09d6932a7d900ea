"""Results of a batch that were too many for its answer."""

import json

from fastmcp import Context
from fastmcp.resources import Resource, resource
from mcp_types import Annotations

from ..app import App
from ..errors import InvalidArgument

#: A batch's results are below it; ollama_batch gives the whole address.
BATCHES = "ollama://batches"
#: Bytes in one reading: clients refuse a message of more than a MiB, where each may be escaped.
PAGE = 400_000
TYPE = "application/x-ndjson"


@resource(
    BATCHES + "/{id}{?offset}",
    name="batch",
    title="All results of a batch",
    mime_type=TYPE,
    annotations=Annotations(priority=0.3),
)
async def batch(ctx: Context, id: str, offset: str = "0") -> str:
    """Show the results of an ollama_batch call of yours, one JSON object a line, for 30 minutes.

    Where they are too many for one reading, the last line is {"next": …}, the address to go on at.
    """
    app = App.of(ctx)
    lines = (await app.kept.get(id, app.owner(ctx))).split("\n")
    if not offset.isdecimal() or int(offset) > len(lines):
        raise InvalidArgument(
            "offset is no line of these results", f"Give a number from 0 to {len(lines)}"
        )
    page = fitting(lines[int(offset) :])
    following = int(offset) + len(page)
    if following < len(lines):
        page.append(json.dumps({"next": f"{BATCHES}/{id}?offset={following}"}))
    return "\n".join(page)


async def instances(ctx: Context) -> list[Resource]:
    """Return a resource for each batch whose results are kept for the caller, the newest first."""
    app = App.of(ctx)
    return [
        Resource(
            uri=f"{BATCHES}/{handle}",
            name=handle,
            title=f"Results of a batch ({size:,} bytes)",
            mime_type=TYPE,
            annotations=Annotations(priority=0.2),
        )
        for handle, size in (await app.kept.of(app.owner(ctx))).items()
    ]


def fitting(lines: list[str]) -> list[str]:
    """Return as many lines as fit in a page, and at least one."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line.encode(errors="replace")) + 1
        if size > PAGE and number:
            return lines[:number]
    return lines

"""Show the MCP servers that models may use: where each is configured, and whether it is used.

With --tools PATH it says which a run about that folder uses, and why not the others; with
--connect each of those is started, and its tools are listed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import argparse

    import mcp_types

    from ..agent.definitions.documents import Definition
    from ..agent.events import Task
    from ..app import App
    from ..settings import Settings

#: Settings that are flags of this command too.
SETTINGS = ("servers_file", "roots", "log_level")
#: Servers that are started at once.
AT_ONCE = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("--tools", metavar="PATH", type=Path, help="the folder that a run would be about")
    add("--connect", action="store_true", help="start the servers, and list their tools")
    add("--json", dest="as_json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status, 1 if a server could not be used.

    Raises:
        OllamaMCPError: the configuration is broken, or PATH is no folder.
    """
    from ..agent.agent import folder
    from ..agent.events import Task
    from ._engine import Engine
    from ._waiting import watched

    if settings.disable_servers:
        sys.stderr.write("The configured MCP servers are switched off (OLLAMA_MCP_DISABLE).\n")
    path = folder(arguments.tools, [arguments.tools]) if arguments.tools else None
    with Engine(settings) as engine:
        task = Task([], path=path)
        rows = watched(
            engine,
            lambda _: survey(engine.app, task, connect=arguments.connect),
            "starting the servers" if arguments.connect else "looking",
        )
    if arguments.as_json:
        told = {"path": path and str(path), "servers": [as_object(row) for row in rows]}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    else:
        show(rows, with_tools=arguments.connect)
    return 1 if any(row.error for row in rows) else 0


@dataclass
class Row:
    """One configured server, and whether it is used."""

    definition: Definition
    enabled: bool
    why: str
    #: Its tools, and why there are none, once it was asked.
    tools: list[mcp_types.Tool] | None = None
    error: str | None = None


async def survey(app: App, task: Task, *, connect: bool) -> list[Row]:
    """Return the configured servers, and which of them a task uses.

    Args:
        app: knows what is configured.
        task: names the servers, or leaves the choice to their rules.
        connect: start those that are used, and ask for their tools; without a path, all that
            need none.

    Raises:
        OllamaMCPError: the configuration is broken.
    """
    from anyio import to_thread

    from ..agent.definitions.configuration import judged

    verdicts = await to_thread.run_sync(judged, app.settings, task.path)
    rows = [
        Row(verdict.definition, verdict.enabled, verdict.why.partition(": ")[2])
        for verdict in verdicts
    ]
    if task.servers is not None:
        for row in rows:
            row.enabled = row.definition.name in task.servers
            row.why = "named" if row.enabled else "not named"
    if connect:
        anyway = task.path is None and task.servers is None
        wanted = [
            row for row in rows if row.enabled or (anyway and not row.definition.requires_path)
        ]
        for start in range(0, len(wanted), AT_ONCE):
            await _connect(app, wanted[start : start + AT_ONCE], task.path)
    return rows


async def _connect(app: App, rows: list[Row], path: Path | None) -> None:
    async with app.hub.lease([row.definition for row in rows], path) as lease:
        down = {status.name: status.error or "it is down" for status in lease.down}
        for row in rows:
            name = row.definition.name
            row.tools, row.error = list(lease.tools.get(name, [])), down.get(name)


def show(rows: list[Row], *, with_tools: bool) -> None:
    """Print the servers as a table at a terminal, as lines of fields elsewhere."""
    if not rows:
        sys.stderr.write("There are no MCP servers; ~/.ollama/mcp-servers.json configures some.\n")
        return
    from ._tables import print_table

    columns = ("SERVER", "USED", "WHY", "RUNS", "FROM")
    print_table(
        columns,
        [
            (
                row.definition.name,
                "yes" if row.enabled else "no",
                row.why,
                runs(row.definition),
                row.definition.source,
            )
            for row in rows
        ],
    )
    if not with_tools:
        return
    sys.stdout.write("\n")
    listed: list[tuple[str, ...]] = []
    for row in rows:
        name = row.definition.name
        if row.error is not None:
            listed.append((name, "(down)", row.error))
        listed += [(name, tool.name, first_line(tool.description)) for tool in row.tools or ()]
    print_table(("SERVER", "TOOL", "WHAT IT DOES"), listed)


def runs(definition: Definition) -> str:
    """Return what a server is: its command or its address, without what may hold a secret."""
    if definition.command is not None:
        return definition.command
    where = urlsplit(definition.url or "")
    return where._replace(netloc=where.netloc.rpartition("@")[2], query="", fragment="").geturl()


def first_line(text: str | None) -> str:
    """Return how a description begins."""
    return next(iter((text or "").strip().splitlines()), "")


def as_object(row: Row) -> dict[str, Any]:
    """Return a server as the object that `--json` prints; what is not known is left out."""
    definition = row.definition
    told = {
        "name": definition.name,
        "description": definition.description or None,
        "source": definition.source,
        "enabled": row.enabled,
        "why": row.why,
        "auto_enable": definition.auto_enable,
        "runs": runs(definition),
        "tools": None
        if row.tools is None or row.error is not None
        else [{"name": tool.name, "description": tool.description} for tool in row.tools],
        "error": row.error,
    }
    return {name: value for name, value in told.items() if value is not None}

"""Show what works here, and what to do about what does not.

Ollama and its daemon, its models, a real chat, whether a GPU is used, the MCP servers of agents,
the port and token of HTTP, and this server in the MCP clients of this computer, started as each
starts it: each ok, warn or fail, with what mends it.

With --model M that model chats, and is then asked to call tools, natively and held to a JSON
Schema (the fallback); what it did is shown beside each task.

With --fix the daemon is started if none answers, and a small model pulled if none chats.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .. import __version__
from ..errors import DaemonUnreachable, ModelNotFound

if TYPE_CHECKING:
    import argparse

    from ..agent.events import Mode
    from ..app import App
    from ..progress import Progress
    from ..settings import Settings

#: Settings that are flags of this command too.
SETTINGS = ("ollama_host", "openai_base_url", "auto_pull", "log_level")
#: Exit statuses.
WELL, UNWELL, USAGE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("--model", metavar="M", help="model to try, with tools too; takes a minute or so")
    add("--fix", action="store_true", help="start Ollama and pull a small model, if need be")
    add("--yes", action="store_true", help="with --fix: do so without asking")
    add("--json", dest="as_json", action="store_true", help="print one JSON object")


@dataclass(frozen=True)
class Section:
    """What was found of one thing."""

    #: Under this name it stands in the JSON.
    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    #: What it means.
    summary: str
    is_well: bool
    #: The same for programs.
    data: Any


#: Looks at one thing; None where that was not asked for.
Look: TypeAlias = "Callable[[App, argparse.Namespace, Progress], Awaitable[Section | None]]"


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status, 1 if something is not well.

    Raises:
        OllamaMCPError: something could not be looked at.
    """
    asks = not arguments.yes
    if arguments.fix and asks and not sys.stdin.isatty():
        sys.stderr.write("ollama-mcp-server doctor: --fix asks first; say --yes where it cannot\n")
        return USAGE
    from ._engine import Engine
    from ._waiting import watched

    found: list[Section] = []
    with Engine(settings) as engine:
        if arguments.fix:
            from ._repair import repair

            repair(engine, asks=asks)
        for look in LOOKS:
            section = watched(engine, partial(look, engine.app, arguments), "looking")
            if section is None:
                continue
            found.append(section)
            if not arguments.as_json:
                show(section)
    if arguments.as_json:
        told = {section.name: section.data for section in found}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    return WELL if all(section.is_well for section in found) else UNWELL


def show(section: Section) -> None:
    """Print a section: a table at a terminal, lines of fields elsewhere."""
    from ._tables import print_table

    sys.stdout.write(f"{section.title}\n")
    print_table(section.columns, section.rows)
    sys.stdout.write(f"{section.summary}\n")
    sys.stdout.flush()


class Outcome(Protocol):
    """What a model did when it was given one of the tasks."""

    @property
    def probe(self) -> str:
        """The task, in a few words."""

    @property
    def passed(self) -> bool:
        """Whether it did what it should."""

    @property
    def did(self) -> str:
        """What it did, in a few words."""


class Report(Protocol):
    """What a model did with tools, in each mode."""

    @property
    def model(self) -> str:
        """Which model."""

    @property
    def mode(self) -> Mode:
        """The mode in which it will be asked."""

    @property
    def outcomes(self) -> Mapping[Mode, Sequence[Outcome]]:
        """By mode; the same tasks in each that was tried, in the same order."""


async def installation(app: App, arguments: argparse.Namespace, progress: Progress) -> Section:
    """Return how everything is, from the daemon to the clients."""
    from . import _checks
    from ._examination import examine

    checks = await examine(app, arguments.model, progress)
    return Section(
        name="checks",
        title=f"ollama-mcp-server {__version__}",
        columns=("", "WHAT", "FOUND", "TO MEND IT"),
        rows=[(check.status, check.name, check.found, check.mend) for check in checks],
        summary=_checks.summary(checks),
        is_well=_checks.worst(checks) != "fail",
        data=_checks.as_data(checks),
    )


async def tool_calling(
    app: App, arguments: argparse.Namespace, progress: Progress
) -> Section | None:
    """Return how well a model calls tools, in both modes; nothing where it is not there."""
    if arguments.model is None:
        return None
    try:
        return tools_section(await app.agent.verify(arguments.model, progress))
    except (DaemonUnreachable, ModelNotFound):
        return None  # the chat has told it


def tools_section(report: Report) -> Section:
    """Return a report as a section; all is well if nothing failed in the mode that is used."""
    modes = list(report.outcomes)
    rows = [
        [outcomes[0].probe, *map(_cell, outcomes)]
        for outcomes in zip(*report.outcomes.values(), strict=True)
    ]
    used = report.outcomes[report.mode]
    passed = sum(outcome.passed for outcome in used)
    return Section(
        name="tools",
        title=f"{report.model}: calling tools",
        columns=["TASK", *(mode.upper() for mode in modes)],
        rows=rows,
        summary=f"It is asked in the mode {report.mode}, in which it passed {passed} of "
        f"{len(used)} tasks.",
        is_well=passed == len(used),
        data={
            "model": report.model,
            "mode": report.mode,
            "probes": {
                mode: [
                    {"probe": one.probe, "passed": one.passed, "did": one.did} for one in outcomes
                ]
                for mode, outcomes in report.outcomes.items()
            },
        },
    )


def _cell(outcome: Outcome) -> str:
    return f"{'pass' if outcome.passed else 'FAIL'}: {outcome.did}"


#: What is looked at, in this order.
LOOKS: tuple[Look, ...] = (installation, tool_calling)

"""A change of a client's file: shown, agreed to, and made."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..clients.catalogue import CLIENTS, OPEN_WEBUI, Client, Computer
from ..errors import InvalidArgument
from ._words import clean, write

if TYPE_CHECKING:
    import argparse

#: Exit statuses.
WELL, UNWELL, USAGE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser, *, optional: bool) -> None:
    """Say what both commands take."""
    add = parser.add_argument
    names = [*CLIENTS, OPEN_WEBUI]
    add(
        "client",
        metavar="CLIENT",
        nargs="?" if optional else None,
        choices=names,
        help=f"one of {', '.join(names)}",
    )
    add("--name", default="ollama", help="what the server is called there (default: ollama)")
    add("--scope", choices=("user", "project"), default="user", help="whose file: yours, or that"
        " of the project in this folder")  # fmt: skip
    add("--print", dest="only_print", action="store_true", help="show the change, make none")
    add("--yes", action="store_true", help="make the change without asking")
    add("--json", dest="as_json", action="store_true", help="print one JSON object")


def this_computer() -> Computer:
    """Return what decides where the clients' files are."""
    from ..settings import environment

    home = os.path.expanduser("~")  # noqa: PTH111 - a user without a home is no error yet
    return Computer(sys.platform, environment(), home)


def place(client: Client, computer: Computer, scope: str = "user") -> Path:
    """Return the file of a client: of several places the first whose folder exists.

    Raises:
        InvalidArgument: it has none in projects, or there is no home folder.
    """
    if scope == "project":
        if client.project is None:
            having = ", ".join(one.name for one in CLIENTS.values() if one.project)
            raise InvalidArgument(
                f"{client.title} has no file in projects", f"These have: {having}"
            )
        return Path.cwd() / client.project
    places = [Path(found) for found in client.places(computer)]
    if not places[0].is_absolute():
        raise InvalidArgument("there is no home folder", "Set HOME")
    return next((found for found in places if found.parent.is_dir()), places[0])


def difference(before: str, after: str, file: Path) -> list[str]:
    """Return the lines of a unified diff."""
    name = str(file)
    return list(
        difflib.unified_diff(
            before.removeprefix("\ufeff").splitlines(),
            after.removeprefix("\ufeff").splitlines(),
            name if before else os.devnull,
            name,
            lineterm="",
        )
    )


def show(lines: Sequence[str]) -> None:
    """Print a diff on stdout, in colours at a terminal."""
    if not sys.stdout.isatty():
        write(sys.stdout, "\n".join(lines))
        return
    from rich.console import Console
    from rich.text import Text

    styles = {"+": "green", "-": "red", "@": "cyan"}
    console = Console(highlight=False)
    for line in lines:
        style = "bold" if line.startswith(("+++", "---")) else styles.get(line[:1], "")
        console.print(Text(clean(line), style=style), soft_wrap=True)


def agreed(arguments: argparse.Namespace) -> bool | None:
    """Return whether the user wants the change; None where nobody can be asked."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        say("nothing was changed: nobody can be asked here; --yes makes the change")
        return None
    sys.stderr.write("Make this change? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was changed")
    return False


def make(file: Path, before: str, after: str) -> Path | None:
    """Write the file, say so, and return where a copy of what it was is kept.

    Raises:
        PermissionDenied: it cannot be written.
        Conflict: it is another one by now.
    """
    from ..clients.file import read, write
    from ..errors import Conflict

    if read(file) != before:
        raise Conflict(f"{file} was changed meanwhile", "Run the command once more")
    backup = write(file, after, datetime.now())
    kept = f"; what it was is kept in {backup.name}" if backup else ""
    say(f"{file} is written{kept}")
    return backup


def say(text: str) -> None:
    """Tell the user something, on stderr."""
    write(sys.stderr, text)

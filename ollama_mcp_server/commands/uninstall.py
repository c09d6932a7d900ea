"""Take this server out of an MCP client's own file; all else in it stays as it is.

The change is shown and asked about, and a copy of the file is kept.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from ..clients.catalogue import CLIENTS, OPEN_WEBUI
from ..errors import NotFound
from . import _change as change
from ._change import UNWELL, USAGE, WELL, say

if TYPE_CHECKING:
    import argparse

    from ..settings import Settings

#: Settings that are flags of this command too.
SETTINGS = ("log_level",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    change.add_arguments(parser, optional=False)


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status, 1 if nothing was changed.

    Raises:
        OllamaMCPError: the entry is not there, or the file cannot be read, changed or written.
    """
    from ..clients.entries import entries, removed
    from ..clients.file import read

    if arguments.client == OPEN_WEBUI:
        say("Open WebUI: remove the server under Admin Panel, Settings, External Tools")
        return WELL
    client, name = CLIENTS[arguments.client], arguments.name
    file = change.place(client, change.this_computer(), arguments.scope)
    before = read(file)
    held = entries(before, client.format, client.container, str(file))
    if name not in held:
        raise NotFound(
            f"{client.title} has no server {name!r} in {file}",
            f"Name one of {', '.join(held)} with --name" if held else "It has none at all there",
        )
    after = removed(before, client.format, client.container, name, str(file))
    told: dict[str, Any] = {"client": client.name, "file": str(file), "name": name}
    if not arguments.as_json:
        change.show(change.difference(before, after, file))
    if not arguments.only_print:
        if not (agreed := change.agreed(arguments)):
            return USAGE if agreed is None else UNWELL
        backup = change.make(file, before, after)
        told["backup"] = str(backup) if backup else None
    if arguments.as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    return WELL

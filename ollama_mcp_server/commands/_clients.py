"""The MCP clients of this computer, and in which of them the server is installed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ..clients.catalogue import CLIENTS, OPEN_WEBUI, Client, Computer
from ..errors import OllamaMCPError
from . import _change as change


def show(computer: Computer, as_json: bool) -> None:
    """Print the clients: which are on this computer, and under which names the server is there."""
    rows = [look(client, computer) for client in CLIENTS.values()]
    if as_json:
        sys.stdout.write(json.dumps({"clients": rows}, ensure_ascii=False, indent=2) + "\n")
        return
    from ._tables import print_table

    print_table(
        ("CLIENT", "FOUND", "INSTALLED AS", "FILE"),
        [
            (
                row["client"],
                "yes" if row["found"] else "no",
                row.get("error") or ", ".join(row["installed"]) or "-",
                row["file"],
            )
            for row in rows
        ],
    )
    change.say(
        f"`ollama-mcp-server install CLIENT` installs it; {OPEN_WEBUI}: shows what to enter there"
    )


def is_found(client: Client, computer: Computer) -> bool:
    """Return whether a client seems to be on this computer: its file, folder or program.

    Raises:
        InvalidArgument: there is no home folder.
    """
    file = change.place(client, computer)
    has_folder = file.parent.is_dir() and file.parent != Path(computer.home)
    return file.exists() or has_folder or bool(client.program and shutil.which(client.program))


def look(client: Client, computer: Computer) -> dict[str, Any]:
    """Return what is known of a client on this computer.

    Raises:
        InvalidArgument: there is no home folder.
    """
    from ..clients.entries import entries
    from ..clients.file import read
    from ..clients.ours import own_entries

    file = change.place(client, computer)
    row = {
        "client": client.name,
        "title": client.title,
        "found": is_found(client, computer),
        "file": str(file),
    }
    try:
        held = entries(read(file), client.format, client.container, str(file))
    except OllamaMCPError as error:
        return {**row, "installed": [], "error": error.message}
    return {**row, "installed": [entry.name for entry in own_entries(client, held)]}

"""The command that a client is told: the one with which the server was started here."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote, unquote, urlsplit

PACKAGE, PROGRAM = "ollama_mcp_server", "ollama-mcp-server"
#: The command for whoever has uv, from the published package.
PUBLISHED = ("uvx", PROGRAM)


@dataclass(frozen=True)
class Start:
    """How this process was started."""

    #: The script or module that was run, as an absolute path.
    script: PurePath
    #: The interpreter.
    python: PurePath
    #: Where uvx is, if it is there.
    uvx: PurePath | None
    #: From where the package was installed (PEP 610), if not from an index.
    origin: Mapping[str, object] | None


def command(start: Start, *, is_shared: bool = False) -> list[str]:
    """Return the command for a client; in a file that others share, without the path of uvx."""
    if _is_passing(start.python):
        uvx = str(start.uvx) if start.uvx and not is_shared else "uvx"
        source = _source(start.origin)
        return [uvx, *(["--from", source] if source else []), PROGRAM]
    if start.script.stem == PROGRAM:
        return [str(start.script)]
    return [str(start.python), "-m", PACKAGE]


def is_ours(words: Sequence[str]) -> bool:
    """Return whether a command starts this server, however it is named in its client."""
    return any(
        PurePath(word.replace("\\", "/")).stem == PROGRAM or word.partition("[")[0] == PACKAGE
        for word in words
    )


def links() -> dict[str, str]:
    """Return the addresses that install the published package with one click, by client."""
    program, *args = PUBLISHED
    config = json.dumps({"command": program, "args": args}, separators=(",", ":"))
    encoded = base64.b64encode(config.encode()).decode()
    return {
        "vscode": "https://vscode.dev/redirect/mcp/install?name=ollama&config="
        + quote(config, safe=""),
        "cursor": "https://cursor.com/en/install-mcp?name=ollama&config=" + quote(encoded, safe=""),
    }


def _is_passing(python: PurePath) -> bool:
    """Return whether an interpreter stands in uv's cache, where uvx makes environments."""
    return any(part.startswith(("archive-v", "environments-v")) for part in python.parts)


def _source(origin: Mapping[str, object] | None) -> str | None:
    """Return from where uvx is to take the package, or None for the index."""
    if not origin:
        return None
    url = str(origin.get("url", ""))
    vcs = origin.get("vcs_info")
    if isinstance(vcs, Mapping):
        return f"{vcs.get('vcs')}+{url}@{vcs.get('commit_id')}"
    if url.startswith("file://"):
        path = unquote(urlsplit(url).path)
        return path[1:] if path[2:3] == ":" else path  # /C:/… on Windows
    return url or None

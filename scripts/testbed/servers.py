"""MCP servers that others have made, as an operator would configure them for agents.

Each function returns one definition, so ``json.dumps({"servers": [git(), time()]})`` is a value for
OLLAMA_MCP_SERVERS. git's and time's servers are Python packages of the development requirements
and speak the newest protocol; the one for files is npm's, pinned in `foreign/`, and begins with
`initialize`.
"""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path
from typing import Any

from . import node
from .steps import SetupError

_FOREIGN = Path(__file__).with_name("foreign")
_FILES = "@modelcontextprotocol/server-filesystem/dist/index.js"


def filesystem(cache: Path) -> dict[str, Any]:
    """Return the official server that reads and writes files, limited to the folder of a run.

    It is installed into the cache the first time. Raises SetupError when it cannot be had.
    """
    return {
        "name": "filesystem",
        "description": "File system operations",
        "command": str(node.program()),
        "args": [str(node.modules(_FOREIGN, cache) / _FILES)],
        "requires_path": True,
        "auto_enable": "with_path",
    }


def git() -> dict[str, Any]:
    """Return the official git server, for runs inside a repository.

    Raises SetupError where git is not installed.
    """
    if shutil.which("git") is None:
        raise SetupError("git is not installed: sudo apt-get install git")
    return {
        "name": "git",
        "description": "Git operations",
        "command": _script("mcp-server-git"),
        "args": ["--repository"],
        "requires_path": True,
        "auto_enable": "if_match",
        "enable_if": {"file_exists": ".git"},
    }


def time() -> dict[str, Any]:
    """Return the official server that tells and converts times, for any run."""
    return {
        "name": "time",
        "description": "Times and time zones",
        "command": _script("mcp-server-time"),
        "args": ["--local-timezone", "UTC"],
        "auto_enable": "always",
    }


def _script(name: str) -> str:
    """Return the path of a program of this environment; raises SetupError where it is missing."""
    path = Path(sysconfig.get_path("scripts"), name)
    if not path.exists():
        raise SetupError(f"{name} is not installed: make setup")
    return str(path)

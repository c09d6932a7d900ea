"""What the tests of agents work with: folders, servers to use, our own, and who still runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.wire import NEW, PATIENCE, Stdio

SERVERS = Path(__file__).parents[1] / "servers"


def repository(folder: Path, subject: str) -> Path:
    """Make a git repository of what is in a folder, with one commit."""
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", subject]):
        who = ["-c", "user.name=Tests", "-c", "user.email=tests@example.com"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True, timeout=30)
    return folder


def own(script: str, mark: str, *args: str) -> dict[str, Any]:
    """Define a server of `tests/servers`, which every run enables; `running(mark)` finds it."""
    return {
        "name": Path(script).stem,
        "command": sys.executable,
        "args": [str(SERVERS / script), mark, *args],
        "env": {"MARK": mark},
        "auto_enable": "always",
    }


def configured(*definitions: dict[str, Any]) -> str:
    """Return the value of OLLAMA_MCP_SERVERS for some definitions."""
    return json.dumps({"servers": definitions})


def ours(home: Path, url: str, *definitions: dict[str, Any], era: str = NEW, **more: str) -> Stdio:
    """Start our server over stdio, for the daemon at `url` and the folders below `home`."""
    told = {"OLLAMA_MCP_SERVERS": configured(*definitions), "OLLAMA_MCP_ROOTS": str(home)}
    return Stdio(home, era=era, OLLAMA_HOST=url, **told, **more)


def running(mark: str) -> list[int]:
    """Return the ids of the processes that were given `mark`, or whose parents were."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            told = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            if mark.encode() in told[0] or f"MARK={mark}".encode() in told[1].split(b"\0"):
                found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
    """Wait until a condition holds and return what it is; raises TimeoutError."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(0.01)
    return found

"""Processes, as the tests look at them: from outside, by the system's own word."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

SERVERS = Path(__file__).parent.parent / "servers"
#: What lets a process of the tests find us.
OURSELVES = {**os.environ, "PYTHONPATH": str(SERVERS.parent.parent)}


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(FileNotFoundError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    return not Path("/proc").is_dir()


def wait_until_gone(pids: Iterable[int], seconds: float = 10) -> list[int]:
    """Wait for processes to end; return those that did not, killed now."""
    left, deadline = list(pids), time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if is_alive(pid)]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def descriptors() -> int:
    """Return how many files, pipes and sockets this process has open."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208


def entry(script: str, *args: Any, **more: Any) -> dict[str, Any]:
    """Return the definition of a server of the tests, as a call writes it."""
    return {
        "name": script,
        "command": sys.executable,
        "args": [str(SERVERS / f"{script}.py"), *map(str, args)],
        **more,
    }

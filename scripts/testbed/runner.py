"""The runners: the llama-server processes of a daemon, as Linux's /proc shows them.

A test that cancels a request shows with these that the machine is free again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds, the grain of the CPU times in /proc


def pids(daemon_pid: int) -> list[int]:
    """Return the process ids of the daemon's children, one for each loaded model."""
    return [pid for pid, (parent, _) in _processes().items() if parent == daemon_pid]


def cpu_seconds(daemon_pid: int) -> float:
    """Return the CPU time that the daemon's present runners have used since they started."""
    return sum(used for parent, used in _processes().values() if parent == daemon_pid)


def is_idle(daemon_pid: int, window: float = 0.2) -> bool:
    """Watch the runners for `window` seconds and say whether they used next to no CPU time.

    No runner at all is idle too, so is one that a load has not given work yet.
    """
    before = cpu_seconds(daemon_pid)
    time.sleep(window)
    return cpu_seconds(daemon_pid) - before < 1.5 * _TICK


def wait_until_idle(daemon_pid: int, timeout: float = 10, window: float = 0.2) -> float:
    """Wait for the runners to be idle and return the seconds it took, the window not counted.

    Raises TimeoutError when they still work after `timeout` seconds.
    """
    start = time.monotonic()
    while not is_idle(daemon_pid, window):
        if time.monotonic() - start > timeout:
            raise TimeoutError(f"the runners of {daemon_pid} still work after {timeout} s")
    return time.monotonic() - start - window


def _processes() -> dict[int, tuple[int, float]]:
    """Return process id -> its parent's id and the CPU seconds used."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has ended meanwhile
            continue
        # fields after the name, which is in parentheses and may hold spaces
        fields = text.rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) * _TICK
        found[int(stat.parent.name)] = (int(fields[1]), used)
    return found

"""A server over HTTP as a child process: where it is, and what it takes of the machine."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

#: For servers: what they compile, they keep, so that only their first start compiles.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
#: Seconds in which a server has to say where it listens, and to end.
START, END = 60.0, 10.0


class Served:
    """A server; `with Served([...], says="at (http://[^/]+)") as server` waits until it says so."""

    def __init__(
        self, command: Sequence[str | Path], env: Mapping[str, str] | None = None, *, says: str
    ) -> None:
        """Start a server; the first group of `says` finds its URL in what it prints."""
        self._log = TemporaryFile()  # noqa: SIM115 - closed at the end; a pipe would want a reader
        self._says = re.compile(says)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**ENVIRONMENT, **(env or {})},
        )
        self.url = ""

    def __enter__(self) -> Served:
        end = time.monotonic() + START
        while time.monotonic() < end and self._process.poll() is None:
            if found := self._says.search(self._said()):
                self.url = found[1]
                return self
            time.sleep(0.02)
        said = self._said()
        self.__exit__()
        raise RuntimeError(f"a server did not start:\n{said[-2000:]}")

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def memory(self) -> float:
        """Return its resident memory in MB."""
        return memory_of(self._process.pid)

    def processor(self) -> float:
        """Return the seconds of processor time that it has used."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def _said(self) -> str:
        return os.pread(self._log.fileno(), 2**20, 0).decode(errors="replace")


def memory_of(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

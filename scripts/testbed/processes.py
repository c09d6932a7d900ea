"""Child processes that end when this process ends, however it ends, unless they are to last.

Linux can tie a child to its parent (PR_SET_PDEATHSIG), but to the *thread* that started it, and
only from code that runs between fork and exec. A leash does the same anywhere: a shell that waits
at the other end of a pipe. When this process is gone, killed or not, the pipe closes and the shell
ends the child's process group.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .steps import SetupError

_PATIENCE = 20.0  # seconds to answer; small servers take 0.02 on an idle machine
_LEASH = 'read _; kill -s TERM -- "$1"; sleep 5; kill -s KILL -- "$1"'


@dataclass
class Child:
    """A running process with, unless it is to last, its leash."""

    process: subprocess.Popen[bytes]
    leash: subprocess.Popen[bytes] | None

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self.process.pid

    def stop(self, patience: float = 10) -> None:
        """Ask the process to end, then force it and what it started after `patience` seconds."""
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.leash:
            unleash(self.leash)


def spawn(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str], *, lasting: bool = False
) -> Child:
    """Start a server in a process group of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Child(process, None if lasting else leash(-process.pid))


def await_answer(child: Child, log: Path, answers: Callable[[], bool]) -> None:
    """Wait until a server that was just started answers.

    Raises SetupError if it ends or takes too long; it is stopped then.
    """
    deadline = time.monotonic() + _PATIENCE
    while not answers():
        if child.process.poll() is not None or time.monotonic() > deadline:
            child.stop()
            raise SetupError(f"{log.stem} did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.01)


def leash(pid: int) -> subprocess.Popen[bytes]:
    """End process `pid`, or the process group of a negative one, when this process is gone."""
    words = ["sh", "-c", _LEASH, "leash", str(pid)]
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def unleash(leash: subprocess.Popen[bytes]) -> None:
    """Let the leashed process be: it has ended, or is to go on."""
    leash.kill()
    if leash.stdin:
        leash.stdin.close()
    leash.wait()


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing holds at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

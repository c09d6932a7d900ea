"""What starts a daemon and ends it with its last user; run as a program, with nothing of ours.

Called as `keeper.py USERS LOCK LOG PROGRAM`. USERS is the reading end of a named pipe that each
server which uses the daemon holds open for writing, and that nobody writes to: it is at its end
once the last of them is gone, in whatever way. LOCK is locked while the daemon is ended, and by a
server while it opens the pipe, so that nobody begins to use a daemon that is about to go.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

#: Bytes of the log; as many are kept of the one before.
LOG = 1024 * 1024
#: Seconds between the polite request to end and the other.
GRACE = 5.0


def main(users: int, lock: Path, log: Path, program: str) -> None:
    """Run the daemon until it ends, nobody uses it any more, or a signal comes."""
    if os.fork():  # nobody's child: who ends a server with its children must not end it
        os._exit(0)
    os.setsid()
    os.chdir("/")
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    journal = Journal(log)
    try:
        daemon = subprocess.Popen(  # noqa: S603 - a program and its argument, and no shell
            [program, "serve"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        journal.write(f"Error: {program} cannot be run: {error.strerror}\n".encode())
        return
    assert daemon.stdout is not None  # noqa: S101 - for the type checker
    output = daemon.stdout.fileno()
    watched = [users, woken, output]
    with lock.open("ab") as held:
        while daemon.poll() is None:
            ready = select.select(watched, [], [])[0]
            if output in ready:
                piece = os.read(output, 65536)
                journal.write(piece)
                if not piece:
                    watched.remove(output)
            if woken in ready and set(os.read(woken, 512)) - {signal.SIGCHLD}:
                break
            if users in ready:
                fcntl.flock(held, fcntl.LOCK_EX)
                if users in select.select([users], [], [], 0)[0]:
                    break
                fcntl.flock(held, fcntl.LOCK_UN)
        end(daemon)
        os.set_blocking(output, False)
        with suppress(BlockingIOError):
            while piece := os.read(output, 65536):
                journal.write(piece)


def end(daemon: "subprocess.Popen[bytes]") -> None:
    """End the daemon and its runners, which are its process group."""
    with suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(GRACE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(daemon.pid, signal.SIGKILL)
    daemon.wait()


class Journal:
    """What the daemon says, in a file that does not grow beyond LOG; the one before is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()

    def write(self, piece: bytes) -> None:
        """Add a piece; a disk without room loses it."""
        with suppress(OSError):
            if self._file.tell() + len(piece) > LOG:
                self._file.close()
                self._begin()
            self._file.write(piece)

    def _begin(self) -> None:
        with suppress(FileNotFoundError):
            self._path.replace(f"{self._path}.1")
        self._file = self._path.open("wb", buffering=0)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])

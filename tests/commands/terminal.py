"""The command as a child process at a terminal of its own, and what a person would do there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.wire import COMMAND, PATIENCE, ROOT

CTRL_C, CTRL_D = "\x03", "\x04"
#: What only moves the cursor, or says in which colour.
_CODES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\r")


def environment(home: Path | None, **variables: str) -> dict[str, str]:
    """Return the environment of a child at home in `home`, or of one without a home."""
    path = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    where = {"HOME": str(home)} if home else {"HOME": "~"}
    told = {"PYTHONPATH": str(ROOT), "TERM": "xterm", "OLLAMA_MCP_START_DAEMON": "never"}
    return {**path, **where, **told, **variables}


class Terminal:
    """A child process whose stdin, stdout and stderr are one terminal of 80 by 24 characters."""

    def __init__(self, home: Path | None, *arguments: str, **variables: str) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=home or ROOT,
            env=environment(home, **variables),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
        )
        os.close(theirs)
        self._ours = ours
        self._shown = b""
        self._seen = 0
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join(PATIENCE)
        os.close(self._ours)

    @property
    def raw(self) -> str:
        """All that was written, as it was written."""
        return self._shown.decode(errors="replace")

    @property
    def text(self) -> str:
        """All that was written, without colours and movements."""
        return _CODES.sub("", self.raw)

    def type(self, text: str) -> None:
        """Type something; "\\n" is the key Return."""
        os.write(self._ours, text.encode())

    def until(self, wanted: str, timeout: float = PATIENCE) -> str:
        """Wait for a text after those that were waited for; return what came up to its end."""
        end = time.monotonic() + timeout
        with self._more:
            while (at := self.text.find(wanted, self._seen)) < 0:
                left = end - time.monotonic()
                if left <= 0 or not self._more.wait(left):
                    raise TimeoutError(f"no {wanted!r} in {self.text[self._seen :]!r}")
            before, self._seen = self._seen, at + len(wanted)
            return self.text[before : self._seen]

    def interrupt(self, wanted: str) -> str:
        """Press Ctrl-C until a text comes; return what came up to its end.

        A signal in the instant in which readline makes ready is noticed with the next key.
        """
        for _ in range(10):
            self.type(CTRL_C)
            with suppress(TimeoutError):
                return self.until(wanted, PATIENCE / 10)
        raise TimeoutError(f"no {wanted!r} after Ctrl-C")

    def wait(self, timeout: float = PATIENCE) -> int:
        """Return the exit status, once it has ended."""
        status = self.process.wait(timeout)
        self._thread.join(PATIENCE)
        return status

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # EIO: the child has closed it
                piece = b""
            with self._more:
                self._shown += piece
                self._more.notify_all()
            if not piece:
                return

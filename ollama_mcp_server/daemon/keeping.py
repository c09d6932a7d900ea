"""Who uses a daemon that a server has started, and the keeper that ends it with the last of them.

The servers of one user share a folder, and in it for each address a named pipe, a lock and a log.
A pipe held open for writing is a use of the daemon: the system closes it when the process ends,
killed or not. Opening it fails while no keeper reads it, which tells that there is none.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

import anyio

#: What became of the daemon: it runs (or has not ended yet), was started just now, has ended.
State: TypeAlias = Literal["runs", "started", "gone"]

#: Seconds between two looks, and for how long a lock is waited for: a keeper may need 6 to end.
PAUSE = 0.05
PATIENCE = 10.0
#: What keeps the daemon.
KEEPER = str(Path(__file__).with_name("keeper.py"))
#: Windows: no console, and no Ctrl-C of ours (DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP).
DETACHED = 0x8 | 0x200


class Keeping(Protocol):
    """A way to have a daemon that several servers use."""

    async def join(self) -> None:
        """Be one of the users of a daemon that some server has started, if there is one."""

    async def ensure(self, program: str, *, anew: bool) -> State:
        """Be one of its users; start one, if there is none and `anew`.

        Raises:
            OSError: nothing can be started, or kept in the folder.
        """

    def said(self) -> str:
        """Return what the daemon that was started last has said."""

    def leave(self) -> None:
        """Use it no longer."""


def keeping_of(url: str, environment: Mapping[str, str], folder: Path) -> Keeping:
    """Return how a daemon at `url` is had on this system, with what it needs in `folder`."""
    if os.name == "posix":
        return Shared(environment, folder / name_of(url))
    return Lasting(environment)


def name_of(url: str) -> str:
    """Return the name of an address among files; localhost is the same as 127.0.0.1."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else str(parts.hostname)
    return f"{re.sub('[^a-z0-9.]+', '_', host)}-{parts.port}"


class Shared:
    """A daemon that ends with the last server that uses it."""

    def __init__(self, environment: Mapping[str, str], base: Path) -> None:
        self._environment = environment
        self._folder = base.parent
        self.pipe, self.lock, self.log = (Path(f"{base}.{end}") for end in ("pipe", "lock", "log"))
        self._held = -1

    async def join(self) -> None:
        """See Keeping; what cannot be read does not matter, for the daemon may answer."""
        if self._held < 0 and self._is_there():
            with suppress(OSError):
                async with self._locked():
                    self._hold()

    async def ensure(self, program: str, *, anew: bool) -> State:
        """See Keeping."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._locked():
            if self._hold():
                return "runs"
            if not anew:
                return "gone"
            await anyio.to_thread.run_sync(self._start, program)
            return "started"

    def said(self) -> str:
        """See Keeping."""
        with suppress(OSError):
            return self.log.read_text(errors="replace")
        return ""

    def leave(self) -> None:
        """See Keeping."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _is_there(self) -> bool:
        """Return whether any server has ever started it; asked before each request."""
        return os.path.exists(self.pipe)  # noqa: PTH110 - it never raises

    def _hold(self) -> bool:
        """Hold the pipe open; return whether a keeper reads it."""
        try:
            held = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        if self._held < 0:
            self._held = held
        else:
            os.close(held)  # what is held since the last keeper counts for this one too
        return True

    def _start(self, program: str) -> None:
        with suppress(FileExistsError):
            os.mkfifo(self.pipe, 0o600)
        read = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._hold()
            files = map(str, (self.lock, self.log))
            subprocess.run(  # noqa: S603 - a program and its arguments, and no shell
                [sys.executable, "-I", "-S", KEEPER, str(read), *files, program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(self._environment),
                pass_fds=[read],
                check=False,
            )
        finally:
            os.close(read)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Let no other server join or start meanwhile, nor a keeper end; PATIENCE is the limit."""
        import fcntl

        with self.lock.open("ab") as file:
            with anyio.move_on_after(PATIENCE):
                while True:
                    with suppress(BlockingIOError):
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    await anyio.sleep(PAUSE)
            yield


class Lasting:
    """A daemon that stays until the user ends it; a second finds its port taken."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._started: subprocess.Popen[bytes] | None = None

    async def join(self) -> None:
        """See Keeping."""

    async def ensure(self, program: str, *, anew: bool) -> State:
        """See Keeping."""
        if self._started is not None and self._started.poll() is None:
            return "runs"
        if not anew:
            return "gone"
        self._started = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns at once
            [program, "serve"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(self._environment),
            start_new_session=True,  # elsewhere, the same as DETACHED
            creationflags=DETACHED if os.name == "nt" else 0,
        )
        return "started"

    def said(self) -> str:
        """See Keeping."""
        return ""

    def leave(self) -> None:
        """See Keeping."""

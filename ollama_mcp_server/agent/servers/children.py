"""Child processes: how a server is started, read, written to, and ended with all that it started.

A server runs in a session and process group of its own, under a small supervisor that leads the
group. The supervisor waits for two things: the server's end, which it passes on, and the end of
our own process, however that comes about (its side of a pipe closes even on SIGKILL); then it ends
the whole group. So neither a server nor what it starts outlives us, on any POSIX system. Linux's
parent-death signal would reach the server alone, and most servers are grandchildren: of `npx`,
of `uvx`. What leaves its group on purpose (a daemon) escapes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, cast

import anyio

#: Bytes that one line of a server's output may have.
LINE = 16 * 1024 * 1024
#: Bytes that are kept of the end of what a server writes to stderr, and lines that are told of it.
TAIL, TOLD = 8192, 6
#: Seconds between a polite request to end and the next, less polite one.
GRACE = 1.0
#: The same where nobody is to wait.
HURRY = 0.4

#: What leads the group.
SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))

Started: TypeAlias = "asyncio.Future[tuple[asyncio.SubprocessTransport, _Streams]]"


class NotStarted(Exception):
    """A program could not be started; the message says why."""


class _Streams(SubprocessStreamProtocol):
    """A child's pipes, and a word of its end that does not wait for the pipes' own."""

    def __init__(self) -> None:
        super().__init__(limit=LINE, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class Child:
    """A server's process, from `start` until `end`."""

    def __init__(
        self, transport: asyncio.SubprocessTransport, streams: _Streams, lifeline: int
    ) -> None:
        #: Id of the group's leader, and so of the group.
        self.group = transport.get_pid()
        self.exited = streams.exited
        # Never None, for all three are pipes.
        self.stdin = cast("asyncio.StreamWriter", streams.stdin)
        self.stdout = cast("asyncio.StreamReader", streams.stdout)
        self._stderr = cast("asyncio.StreamReader", streams.stderr)
        self._transport = transport
        self._lifeline = lifeline
        self._tail = bytearray()
        self._ending = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, command: str, args: Sequence[str], env: Mapping[str, str], cwd: Path | None
    ) -> Child:
        """Start a program.

        Raises:
            NotStarted: there is no such program or folder, or the system refused.
        """
        program = await anyio.to_thread.run_sync(find, command, env, cwd)
        ours, theirs = os.pipe()[::-1]
        argv = [sys.executable, "-I", "-S", SUPERVISOR, str(theirs), program, *args]
        starting = asyncio.ensure_future(
            asyncio.get_running_loop().subprocess_exec(
                _Streams,
                *argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=[theirs],
            )
        )
        try:
            # Shielded, because a start that is cancelled half-way would leave a process behind.
            transport, streams = await asyncio.shield(starting)
        except (OSError, ValueError) as error:
            os.close(ours)
            raise NotStarted(f"{command} cannot be started: {error}") from error
        except asyncio.CancelledError:
            starting.add_done_callback(lambda task: _abandon(task, ours))
            raise
        finally:
            os.close(theirs)
        return cls(transport, streams, ours)

    async def _listen(self) -> None:
        """Keep the end of what the server writes to stderr."""
        while piece := await self._stderr.read(TAIL):
            self._tail += piece
            del self._tail[:-TAIL]

    async def said(self) -> str:
        """Return the last lines that it wrote to stderr; of an ended one, all that came."""
        if self.exited.is_set():
            await asyncio.wait([self._listening], timeout=0.2)
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return "\n".join(line[:500] for line in lines[-TOLD:])

    @property
    def status(self) -> int | None:
        """Its exit status, 128 and the signal's number where one ended it; None while it runs."""
        code = self._transport.get_returncode()
        return code if code is None or code >= 0 else 128 - code

    async def end(self, grace: float = GRACE) -> None:
        """End the whole group: close its stdin, then SIGTERM, then SIGKILL, `grace` s apart.

        Always done to the end, within twice `grace` and a second; a second call changes nothing.
        """
        with anyio.CancelScope(shield=True):
            async with self._ending:
                if self._lifeline < 0:
                    return
                self.stdin.close()
                with anyio.move_on_after(grace):
                    await self.exited.wait()
                if self._signal(signal.SIGTERM):
                    await self._gone(grace)
                    self._signal(signal.SIGKILL)
                    with anyio.move_on_after(1.0):
                        await self.exited.wait()
                await asyncio.wait([self._listening], timeout=0.2)
                self._release()

    def _signal(self, number: int) -> bool:
        """Signal the group; return whether there still is one."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # macOS says so of zombies; others of the group may be alive
        return True

    async def _gone(self, seconds: float) -> None:
        """Wait until nobody of the group is left; there is nothing to be woken by but a look."""
        with anyio.move_on_after(seconds):
            while self._signal(0):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _release(self) -> None:
        os.close(self._lifeline)
        self._lifeline = -1
        self._listening.cancel()
        # A pipe that a stray process still holds open would keep ours open as well.
        with suppress(ProcessLookupError):
            self._transport.close()


def find(command: str, env: Mapping[str, str], cwd: Path | None) -> str:
    """Return the path of the program that a command names, seen from the folder `cwd`.

    Raises:
        NotStarted: there is no such program or folder, or no process group to start it in.
    """
    if cwd is not None and not cwd.is_dir():
        raise NotStarted(f"there is no folder {cwd} to start it in")
    if os.path.dirname(command):  # noqa: PTH120 - "./x" has one, Path("./x").parent is the same "."
        path = (cwd or Path()) / os.path.expanduser(command)  # noqa: PTH111 - it never raises
        program = shutil.which(path.absolute())
        where = f"no executable file {path}"
    else:
        program = shutil.which(command, path=env.get("PATH"))
        where = f'no program "{command}" on PATH'
    if os.name != "posix":
        where = "no way to start servers on this system; give the url of one that runs"
    if program is None or os.name != "posix":
        raise NotStarted(f"there is {where}")
    return str(program)


def _abandon(starting: Started, ours: int) -> None:
    """End a process whose start nobody waited for."""
    os.close(ours)
    if starting.cancelled() or starting.exception():
        return
    transport = starting.result()[0]
    with suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()

"""Our server before a real daemon, with a bad wire between them: what a call costs and leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.testbed import api, daemon, models, runner, toxiproxy
from tests.wire import Call, Client, Server

#: Neither may stand in an error or in the log.
SECRET = "key-5f1d8c"
PROMPT = "purple-walrus"
#: A call that writes for seconds, and one that is over at once.
STORY: dict[str, Any] = {
    "model": models.CHAT,
    "prompt": f"{PROMPT} 1, 2, 3, 4, 5, 6,",
    "raw": True,
    "options": {"temperature": 0, "num_predict": 250},
}
WORD: dict[str, Any] = {**STORY, "options": {"temperature": 0, "num_predict": 2}}
#: Connections that may be kept for the next call: one that answers, one that asks what it is at.
KEPT = 2
#: Files that may stay: the SDK's pipes come and go with its threads.
SPARE = 3
#: Threads of the pool in which the SDK reads, writes and works; they stay once they are there.
POOL = 45
#: Bytes that memory may grow by in one test; a leak of a stream's buffers is more.
GROWTH = 48 * 2**20

Message = dict[str, Any]


@dataclass(frozen=True)
class Footprint:
    """What a process has: open sockets and other files, threads, children, bytes of memory."""

    sockets: int
    files: int
    threads: int
    children: int
    memory: int


def footprint(pid: int) -> Footprint:
    """Return what a process has now."""
    targets = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            targets.append(str(link.readlink()))
    sockets = sum(target.startswith("socket:") for target in targets)
    return Footprint(
        sockets,
        len(targets) - sockets,
        len(list(Path(f"/proc/{pid}/task").iterdir())),
        len(runner.pids(pid)),
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    )


@dataclass
class Scene:
    """A server and its client, before a daemon that is reached over `wire`."""

    peer: Client
    server: Server
    ollama: daemon.Daemon
    wire: toxiproxy.Proxy
    #: What was measured, for the report.
    figures: dict[str, Any] = field(default_factory=dict)
    before: Footprint | None = None
    #: Lines that the server had logged before.
    logged: int = 0

    def begin(self) -> None:
        """Take note of what the server has when all is well."""
        self.works()
        self.logged = len(self.server.err.items)
        self.before = footprint(self.server.process.pid)

    def start(self, tool: str = "ollama_generate", /, **arguments: Any) -> Call:
        """Start a call, and wait until the model writes."""
        call = self.peer.start(tool, arguments or STORY)
        call.until("writing")
        return call

    def error(
        self, code: str, call: Call | str, /, *, within: float = 15.0, **arguments: Any
    ) -> Message:
        """Return the error of a call, under way or to be made, which must have this code.

        It comes `within` some seconds, tells what to do, and holds no secret.
        """
        began = time.monotonic()
        made = self.peer.start(call, arguments) if isinstance(call, str) else call
        result = made.result(within + 10)
        took = time.monotonic() - began
        self.figures.setdefault("error", code)
        self.figures.setdefault("seconds", round(took, 2))
        assert result.get("isError"), result
        error: Message = result["structuredContent"]["error"]
        text = result["content"][0]["text"]
        assert error["code"] == code, error
        assert error["message"] in text
        assert error["hint"].rstrip(".") in text
        assert error["hint"], error
        for unwanted in ("Traceback", SECRET, PROMPT, "httpx", "anyio"):
            assert unwanted not in str(result), result
        assert took < within, f"{took:.1f} s, {error}"
        return error

    def works(self) -> None:
        """Assert that the next call is answered."""
        began = time.monotonic()
        result = self.peer.call("ollama_generate", **WORD)
        assert not result.get("isError"), result
        self.figures["next call"] = round(time.monotonic() - began, 2)

    def end(self) -> None:
        """Assert that all is as before: nothing is left open, nothing told that must not be."""
        self.wire.heal()
        self.wire.mend()
        wait_for(lambda: api.version(self.ollama.url))
        self.works()
        assert self.before
        before, pid = self.before, self.server.process.pid
        bound = Footprint(
            before.sockets + KEPT,
            before.files + SPARE,
            max(before.threads, POOL),
            before.children,
            before.memory + GROWTH,
        )

        def is_as_before() -> bool:
            now = footprint(pid)
            return all(getattr(now, name) <= getattr(bound, name) for name in vars(bound))

        with suppress(TimeoutError):
            wait_for(is_as_before, 8)  # what is kept for the next call is kept for 5 s
        now = footprint(pid)
        for name in ("sockets", "files"):
            self.figures[name] = [getattr(before, name), getattr(now, name)]
        grown = {
            name: (getattr(before, name), getattr(now, name))
            for name in vars(bound)
            if getattr(now, name) > getattr(bound, name)
        }
        assert not grown, f"left open: {grown}"
        runner.wait_until_idle(self.ollama.pid, window=0.1)
        clean(self.server, self.logged)


def clean(server: Server, since: int = 0) -> None:
    """Assert that a server has logged no traceback, no key and no prompt, from a line on."""
    told = "".join(server.err.items[since:])
    for unwanted in ("Traceback", SECRET, PROMPT, "Task exception", "never retrieved"):
        assert unwanted not in told, told[-3000:]


def wait_for(condition: Callable[[], Any], timeout: float = 20) -> Any:
    """Wait until a condition holds and return what it is; raises TimeoutError."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(0.01)
    return found

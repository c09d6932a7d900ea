"""The test bed as a whole: a daemon that has the test models, found or started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from . import api, binaries, daemon, models, processes, weights
from .cache import locked
from .steps import SetupError, tell


@dataclass(frozen=True)
class Wish:
    """What kind of daemon is wanted; a port (0: any), a version or settings make it private."""

    cache: Path
    private: bool = False
    version: str | None = None
    port: int = 0
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_own(self) -> bool:
        """Whether neither a running daemon nor an installed program will do."""
        return bool(self.private or self.version or self.port or self.env)


@dataclass(frozen=True)
class Bed:
    """A daemon that has the test models; `started` only if this process has to stop it."""

    url: str
    pid: int | None
    started: daemon.Daemon | None = None


def up(wish: Wish, *, lasting: bool) -> Bed:
    """Find or start a daemon and give it the test models; raises SetupError.

    lasting: a daemon that has to be started outlives this process, and `down` stops it.
    """
    with locked(wish.cache), ExitStack() as undo:
        bed = _find(wish, replace=lasting) or _start(wish, lasting=lasting)
        if bed.started:
            undo.callback(bed.started.stop)
        models.create(bed.url, wish.cache)
        if bed.started and lasting:
            note = {"url": bed.url, "pid": bed.pid, "env": dict(wish.env)}
            _note(wish).write_text(json.dumps(note))
        undo.pop_all()  # all went well: it stays
    return bed


def down(cache: Path) -> None:
    """Stop every daemon that `up` left running; other daemons are left alone."""
    for note in cache.glob("up-*.json"):
        _stop(note)


def run(command: Sequence[str], wish: Wish) -> int:
    """Run a command with OLLAMA_HOST set and return its exit status, 128 + N after signal N.

    The command also gets OLLAMA_MCP_TESTBED_VERSION, and OLLAMA_MCP_TESTBED_PID if the daemon is
    the test bed's own. Signals are passed on; what was started here is stopped.
    """
    bed = up(wish, lasting=False)
    try:
        return _supervise(
            command,
            {
                **os.environ,
                "OLLAMA_HOST": bed.url,
                "OLLAMA_MCP_TESTBED": str(wish.cache),
                "OLLAMA_MCP_TESTBED_VERSION": api.version(bed.url) or "",
                "OLLAMA_MCP_TESTBED_PID": str(bed.pid or ""),
            },
        )
    finally:
        if bed.started:
            bed.started.stop()


def running(cache: Path) -> dict[str, int]:
    """Return URL -> process id of the daemons that `up` left running and that still answer."""
    notes = [json.loads(note.read_text()) for note in cache.glob("up-*.json")]
    return {note["url"]: note["pid"] for note in notes if api.version(note["url"])}


def host() -> str:
    """Return the URL that $OLLAMA_HOST means, as Ollama reads it."""
    value = os.environ.get("OLLAMA_HOST", "").strip() or "127.0.0.1"
    parts = urlsplit(value if "://" in value else f"http://{value}")
    default = {"http": 80, "https": 443}[parts.scheme] if "://" in value else 11434
    name = (parts.hostname or "127.0.0.1").replace("0.0.0.0", "127.0.0.1")
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}:{parts.port or default}"


def _find(wish: Wish, *, replace: bool) -> Bed | None:
    """Return a daemon that fits; `replace` stops one that `up` left and that does not."""
    if not wish.needs_own and (version := api.version(host())):
        tell(f"using Ollama {version} at {host()}")
        return Bed(host(), running(wish.cache).get(host()))
    note = _note(wish)
    if not note.exists():
        return None
    left = json.loads(note.read_text())
    fits = wish.port in (0, urlsplit(left["url"]).port) and dict(wish.env) == left["env"]
    if fits and api.version(left["url"]):
        return Bed(left["url"], left["pid"])
    if replace:
        _stop(note)
    return None


def _start(wish: Wish, *, lasting: bool) -> Bed:
    _forget_old_logs(wish.cache)
    label, program = _choose(wish)
    if program is None:
        binaries.check(wish.cache, label)
    with ThreadPoolExecutor(max_workers=1) as pool:  # downloads take less than the build beside it
        fetching = pool.submit(weights.gather, wish.cache)
        program = program or binaries.install(wish.cache, label)
        fetching.result()
    shutil.rmtree(wish.cache / "tools", ignore_errors=True)  # 0.6 GB that only a build needs
    started = daemon.start(
        wish.cache,
        env=wish.env,
        port=wish.port,
        store=daemon.shared_store(wish.cache, label),
        program=program,
        lasting=lasting,
    )
    tell(f"started {program} at {started.url}")
    return Bed(started.url, started.pid, started)


def _choose(wish: Wish) -> tuple[str, Path | None]:
    """Return what names the daemon's store, and its program if it is not one of the cache."""
    installed = None if wish.needs_own else shutil.which("ollama")
    return ("installed", Path(installed)) if installed else (wish.version or binaries.VERSION, None)


def _forget_old_logs(cache: Path) -> None:
    for log in (cache / "logs").glob("*.log"):
        if time.time() - log.stat().st_mtime > 86400:
            log.unlink()


def _note(wish: Wish) -> Path:
    return wish.cache / f"up-{_choose(wish)[0]}.json"


def _stop(note: Path) -> None:
    """Stop the daemon of a note if it still answers, for its process id may be another's by now."""
    left = json.loads(note.read_text())
    if api.version(left["url"]):
        tell(f"stopping the daemon at {left['url']}")
        with suppress(ProcessLookupError):
            os.kill(left["pid"], signal.SIGTERM)
        while api.version(left["url"]):
            time.sleep(0.05)
    note.unlink()


def _supervise(command: Sequence[str], env: Mapping[str, str]) -> int:
    # A terminal sends Ctrl-C to the command itself; elsewhere the command gets a group of its own.
    grouped = not sys.stdin.isatty()
    try:
        process = subprocess.Popen(list(command), env=dict(env), start_new_session=grouped)
    except OSError as error:
        raise SetupError(f"cannot run {command[0]}: {error.strerror}") from None
    leash = processes.leash(-process.pid if grouped else process.pid)

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            if grouped:
                os.killpg(process.pid, number)
            elif number != signal.SIGINT:
                process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    status = process.wait()
    processes.unleash(leash)
    return status if status >= 0 else 128 - status

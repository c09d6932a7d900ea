"""Ollama daemons of our own: as many at once as a test likes, each on a free port.

For example ``with daemon.start(cache.folder(), env={"OLLAMA_MAX_QUEUE": "1"}) as ollama: ...``
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import api, binaries
from .processes import Child, free_port, spawn
from .steps import SetupError
from .stoppable import Stoppable

_PATIENCE = 60.0  # seconds for a daemon to answer; it takes 0.2 on an idle machine


@dataclass
class Daemon(Stoppable):
    """A running daemon."""

    url: str
    log: Path
    child: Child

    @property
    def pid(self) -> int:
        """The daemon's process id, for `runner`."""
        return self.child.pid

    def stop(self) -> None:
        """Stop the daemon and its runners, and wait for them."""
        self.child.stop()


def start(
    cache: Path,
    *,
    version: str = binaries.VERSION,
    env: Mapping[str, str] | None = None,
    port: int = 0,
    store: Path | None = None,
    program: Path | None = None,
    lasting: bool = False,
) -> Daemon:
    """Start a daemon and wait until it answers.

    cache: the test bed's folder (`cache.folder()`); the version is built there if it is not yet.
    env: settings of the daemon, such as OLLAMA_MAX_QUEUE; this process's OLLAMA_* do not count.
    port: 0 for a free one.
    store: folder of the models; by default the one that the daemons of a version share. A test that
    creates, copies, pulls or deletes models takes a store of its own, empty or from `clone_store`.
    program: another `ollama` than the cache's.  lasting: outlive this process.

    Raises SetupError when the daemon ends or does not answer.
    """
    program = program or binaries.install(cache, version)
    attempts = 1 if port else 3  # a free port can be lost to another process before it is used
    for attempt in range(attempts):
        number = port or free_port()
        log = cache / "logs" / f"daemon-{number}.log"
        settings = _environment(cache, number, store or shared_store(cache, version), env or {})
        child = spawn([program, "serve"], log, settings, lasting=lasting)
        daemon = Daemon(f"http://127.0.0.1:{number}", log, child)
        if _await(daemon):
            return daemon
        daemon.stop()
        if attempt + 1 == attempts:
            end = log.read_text(errors="replace")[-2000:]
            raise SetupError(f"{program} serve did not come up, {log} ends with\n{end}")
    raise AssertionError("unreachable")


def shared_store(cache: Path, version: str = binaries.VERSION) -> Path:
    """Return the folder of the models that daemons of one version share."""
    return cache / f"store-{version}"


def clone_store(source: Path, target: Path) -> Path:
    """Make a store with the same models that a test may change; costs no space or time.

    The blobs are links, which is safe because Ollama never changes a blob; manifests are copies.
    """

    def place(file: str, copy: str) -> None:
        if Path(file).parent.name == "blobs":
            Path(copy).hardlink_to(file)
        else:
            shutil.copyfile(file, copy)

    shutil.copytree(source, target, copy_function=place)
    return target


def _environment(cache: Path, port: int, store: Path, extra: Mapping[str, str]) -> dict[str, str]:
    home = cache / "home"  # the daemon keeps a key pair there, and nothing else
    for folder in (home, store):
        folder.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if "OLLAMA_" not in name}
    return {
        **inherited,
        "HOME": str(home),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(store),
        "OLLAMA_NOPRUNE": "1",  # another daemon may be writing to the same store
        "OLLAMA_KEEP_ALIVE": "10m",
        **extra,
    }


def _await(daemon: Daemon) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and daemon.child.process.poll() is None:
        # another process may answer on the port: ours has ended then, at the latest soon after
        if api.version(daemon.url) and daemon.child.process.poll() is None:
            return True
        time.sleep(0.03)
    return False

"""Everything that runs, put up and taken down: Ollamas, Valkey, two servers, and HAProxy."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from bench.served import Served
from ollama_mcp_server.gateway.access import keyfile
from scripts.testbed import api, daemon, models, valkey
from scripts.testbed.processes import free_port, unleash
from scripts.testbed.stoppable import Stoppable

from . import balancer, replica
from .replica import Replica

#: Requests a minute of the keys that have such a limit, and at a time of the one that has that.
MINUTE = 20
AT_A_TIME = 3
#: The keys: one that never comes to its limits, and a fresh one for each look at limits.
KEYS: dict[str, dict[str, int]] = {
    "load": {"requests_per_minute": 10**6, "tokens_per_minute": 10**9, "concurrency": 1000},
    "minute": {"requests_per_minute": MINUTE},
    "without-valkey": {"requests_per_minute": MINUTE},
    "after": {"requests_per_minute": MINUTE},
    "at-a-time": {"concurrency": AT_A_TIME},
}


class Ollamas(Stoppable):
    """Two real daemons with the test models, each at a port that it keeps."""

    NAMES = ("one", "two")

    def __init__(self, cache: Path) -> None:
        """Start them and load the model into both."""
        self._cache = cache
        self.running: dict[str, daemon.Daemon] = {}
        for name in self.NAMES:
            self.begin(name)

    @property
    def urls(self) -> dict[str, str]:
        """Where they are."""
        return {name: one.url for name, one in self.running.items()}

    def begin(self, name: str) -> None:
        """Start one, where it was if it was, and load the model."""
        known = self.running.get(name)
        port = urlsplit(known.url).port if known else 0
        one = daemon.start(self._cache, port=port or 0, env={"OLLAMA_NUM_PARALLEL": "4"})
        self.running[name] = one
        models.create(one.url, self._cache)
        api._send(one.url, "POST", "/api/generate", b'{"model": "%s"}' % models.CHAT.encode())

    def kill(self, name: str) -> None:
        """End one and its runners as a crash does."""
        child = self.running[name].child
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.process.wait()
        if child.leash:
            unleash(child.leash)

    def stop(self) -> None:
        """Stop both."""
        for one in self.running.values():
            one.stop()


class Store(Stoppable):
    """A Valkey at a port that it keeps; what it holds ends with `stop`."""

    def __init__(self, cache: Path) -> None:
        """Start it."""
        self._cache = cache
        self._running = valkey.start(cache)
        self.url = self._running.url

    def begin(self) -> None:
        """Start it again, empty."""
        self._running = valkey.start(self._cache, port=self._running.port)

    def stop(self) -> None:
        """Stop it."""
        self._running.stop()


@dataclass
class Stage:
    """Two servers over the same Ollamas, and HAProxy before them."""

    replicas: list[Replica]
    balancer: balancer.Balancer
    #: By name; each is shown once, so they stand nowhere else.
    keys: Mapping[str, str]
    #: The folder that both servers may write to.
    root: Path

    @property
    def url(self) -> str:
        """Where clients ask."""
        return self.balancer.url

    def whole_again(self) -> None:
        """Start what was killed of the servers, and wait until HAProxy has seen it."""
        for one in self.replicas:
            if not one.is_running:
                one.begin()
                one.until_ready()
        self.balancer.until_all_up()

    def headers(self, key: str) -> dict[str, str]:
        """Return what opens the servers to a key."""
        return {"Authorization": f"Bearer {self.keys[key]}"}


@contextmanager
def stage(cache: Path, hosts: Mapping[str, str], state: str = "") -> Iterator[Stage]:
    """Put up two servers and HAProxy, and take them down after the block, whatever happens.

    Args:
        cache: the test bed's folder.
        hosts: name and URL of each Ollama.
        state: the URL of what the servers share; "" for nothing.

    Raises:
        SetupError: something of it does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        root = folder / "root"
        root.mkdir()
        made = {name: keyfile.make(name, **limits) for name, limits in KEYS.items()}
        keyfile.save(folder / "keys.json", [key for _, key in made.values()])
        settings = {
            "OLLAMA_MCP_HOSTS": ",".join(f"{name}={url}" for name, url in hosts.items()),
            "OLLAMA_MCP_KEYS_FILE": str(folder / "keys.json"),
            "OLLAMA_MCP_ROOTS": str(root),
            "OLLAMA_MCP_PARALLEL": "16",
            "OLLAMA_MCP_REQUEST_STATE_KEY": secrets.token_hex(32),
            **({"OLLAMA_MCP_STATE_URL": state} if state else {}),
        }
        replicas = [_begun(stack, name, folder, settings) for name in ("mcp-1", "mcp-2")]
        for one in replicas:
            one.until_ready()
        front = balancer.start(
            cache,
            folder,
            (free_port(), free_port()),
            [one.address for one in replicas],
            [urlsplit(url).netloc for url in hosts.values()],
        )
        stack.enter_context(front)
        front.until_all_up()
        yield Stage(replicas, front, {name: token for name, (token, _) in made.items()}, root)


@contextmanager
def scripted(number: int) -> Iterator[dict[str, str]]:
    """Start so many scripted daemons, and give their names and URLs."""
    with ExitStack() as stack:
        words = [sys.executable, "-m", "scripts.scale.upstream"]
        started = [Served(words, says=r"(http://\S+)") for _ in range(number)]
        served = [stack.enter_context(one) for one in started]
        yield {f"daemon-{place}": one.url for place, one in enumerate(served, 1)}


def _begun(stack: ExitStack, name: str, folder: Path, settings: Mapping[str, str]) -> Replica:
    home = folder / name
    home.mkdir()
    env = replica.environment(home, **settings)
    one = stack.enter_context(Replica(name, free_port(), folder / f"{name}.log", env))
    one.begin()
    return one

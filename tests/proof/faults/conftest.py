"""A daemon, a proxy that breaks the way to it, and servers of ours of each kind before that."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scripts.testbed import cache, daemon, toxiproxy
from tests.proof.faults.scene import SECRET, Scene
from tests.wire import NEW, Servers, Stdio, client_of, started

#: A server that reaches the daemon by a name, as one on another machine: by httpx's own pool.
REMOTE = ("stdio", "remote")


@pytest.fixture(scope="session")
def ollama() -> Iterator[daemon.Daemon]:
    """A daemon of our own, whose runners nobody else gives work."""
    with daemon.start(cache.folder()) as ours:
        yield ours


@pytest.fixture(scope="session")
def proxies() -> Iterator[toxiproxy.Toxiproxy]:
    with toxiproxy.start(cache.folder()) as running:
        yield running


@pytest.fixture(scope="session")
def wire(proxies: toxiproxy.Toxiproxy, ollama: daemon.Daemon) -> toxiproxy.Proxy:
    """The way from the servers to the daemon."""
    return proxies.put(ollama.url)


@pytest.fixture(scope="session")
def servers(wire: toxiproxy.Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A server for each era of stdio and one for HTTP; each has secrets to keep."""
    with started(tmp_path_factory.mktemp("home"), **told(wire.url)) as running:
        yield running


@pytest.fixture(scope="session")
def far(
    proxies: toxiproxy.Toxiproxy,
    ollama: daemon.Daemon,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Stdio, toxiproxy.Proxy]]:
    """A server whose daemon has this machine's name, and its way."""
    way = proxies.put(ollama.url, host=socket.gethostname())
    with Stdio(tmp_path_factory.mktemp("far"), **told(way.url)) as server:
        yield server, way


@pytest.fixture
def scene(request: pytest.FixtureRequest, ollama: daemon.Daemon) -> Iterator[Scene]:
    """The scene of one test, over stdio in the new era unless told; all is as before after it."""
    way = getattr(request, "param", ("stdio", NEW))
    if way == REMOTE:
        server, wire = request.getfixturevalue("far")
        peer = server
    else:
        wire, running = (request.getfixturevalue(name) for name in ("wire", "servers"))
        server, peer = running[way if way in running else ("http", NEW)], client_of(running, way)
    found = Scene(peer, server, ollama, wire)
    try:
        found.begin()
        yield found
        found.end()
    finally:
        wire.heal()
        wire.mend()
        # not by record_property, which warns of a schema that forbids what it writes
        request.node.user_properties += [
            ("way", " ".join(way)),
            ("figures", json.dumps(found.figures)),
        ]


@pytest.fixture(scope="session")
def stack() -> Iterator[ExitStack]:
    """Closes at the end what tests have opened for others."""
    with ExitStack() as opened:
        yield opened


def told(url: str, **more: str) -> dict[str, str]:
    """Return the settings of a server for the daemon at `url`."""
    return {
        "OLLAMA_HOST": url,
        "OLLAMA_API_KEY": SECRET,
        "OLLAMA_MCP_HEADERS": json.dumps({"X-Key": SECRET}),
        "OLLAMA_MCP_TOOLSETS": "all",
        **more,
    }

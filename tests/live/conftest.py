"""The real daemon that `make test` brings up, or the one that OLLAMA_HOST names."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from scripts.testbed import api, cache, daemon, valkey
from tests.conftest import OUTSIDE
from tests.live.sessions import PASSWORD
from tests.wire import EVERY, Client, Servers, client_of, started


@pytest.fixture(scope="session")
def lent() -> Iterator[tuple[str, str | None]]:
    """URL and process id of the daemon that many tests use, one at a time.

    That is the test bed's; where tests run in several processes, each has one of its own.
    """
    version = OUTSIDE.get("OLLAMA_MCP_TESTBED_VERSION")
    if version and "PYTEST_XDIST_WORKER" in os.environ:
        with daemon.start(cache.folder(), version=version) as own:
            yield own.url, str(own.pid)
    else:
        yield OUTSIDE.get("OLLAMA_HOST", ""), OUTSIDE.get("OLLAMA_MCP_TESTBED_PID")


@pytest.fixture(scope="session")
def ollama_host(lent: tuple[str, str | None]) -> str:
    """URL of a real daemon with the test models.

    Skips where there is none; in CI that is a failure (see the hooks in tests/conftest.py).
    """
    host, _ = lent
    if not host or not api.version(host):
        pytest.skip("no Ollama daemon with the test models: run `make test`, which brings one")
    return host


@pytest.fixture(scope="session")
def ollama_pid(ollama_host: str, lent: tuple[str, str | None]) -> int:
    """Process id of that daemon, whose runners `scripts.testbed.runner` watches."""
    _, pid = lent
    if not pid:
        pytest.skip("this daemon is not the test bed's own, so its runners cannot be watched")
    return int(pid)


@pytest.fixture(scope="module")
def ollama(ollama_host: str) -> Iterator[daemon.Daemon]:
    """A daemon of our own, whose runners nobody else gives work."""
    version = OUTSIDE.get("OLLAMA_MCP_TESTBED_VERSION")
    if not version:
        pytest.skip("there is no test bed to start a daemon of our own")
    with daemon.start(cache.folder(), version=version) as ours:
        yield ours


@pytest.fixture(scope="module")
def servers(ollama: daemon.Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A server for each era of stdio and one for HTTP."""
    with started(tmp_path_factory.mktemp("home"), OLLAMA_HOST=ollama.url) as servers:
        yield servers


@pytest.fixture(params=EVERY, ids=lambda way: f"{way[0]}-{way[1]}")
def peer(servers: Servers, request: pytest.FixtureRequest) -> Client:
    """A client on each transport in each era."""
    return client_of(servers, request.param)


@pytest.fixture(scope="module")
def store() -> Iterator[valkey.Valkey]:
    """A Valkey of a module's own, which wants PASSWORD."""
    if not OUTSIDE.get("OLLAMA_MCP_TESTBED_VERSION"):
        pytest.skip("there is no test bed to start a Valkey: run `make test`")
    with valkey.start(cache.folder(), password=PASSWORD) as store:
        yield store

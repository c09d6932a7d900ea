"""Two scripted daemons beside the usual one, and an App that has them as its hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.daemon.hosts.hosts import Hosts
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama


@pytest.fixture(scope="module")
def two_more() -> Iterator[list[FakeOllama]]:
    with FakeOllama() as one, FakeOllama() as two:
        yield [one, two]


@pytest.fixture
def desk(daemon: FakeOllama) -> FakeOllama:
    """The first of the hosts."""
    return daemon


@pytest.fixture
def gpu(two_more: list[FakeOllama]) -> FakeOllama:
    """The second of the hosts."""
    two_more[0].reset()
    return two_more[0]


@pytest.fixture
def attic(two_more: list[FakeOllama]) -> FakeOllama:
    """A third host, for those who name it."""
    two_more[1].reset()
    return two_more[1]


@pytest.fixture
def several(make_app: MakeApp, desk: FakeOllama, gpu: FakeOllama) -> App:
    """An App with the hosts desk and gpu."""
    return make_app(hosts={"desk": desk.url, "gpu": gpu.url})


@pytest.fixture
def hosts(several: App) -> Hosts:
    assert isinstance(several.client, Hosts)
    return several.client

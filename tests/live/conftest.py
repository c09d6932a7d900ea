"""The real daemon that `make test` brings up, or the one that OLLAMA_HOST names."""

from __future__ import annotations

import pytest

from scripts.testbed import api
from tests.conftest import OUTSIDE


@pytest.fixture(scope="session")
def ollama_host() -> str:
    """URL of a real daemon with the test models.

    Skips where there is none; in CI that is a failure (see the hooks in tests/conftest.py).
    """
    host = OUTSIDE.get("OLLAMA_HOST", "")
    if not host or not api.version(host):
        pytest.skip("no Ollama daemon with the test models: run `make test`, which brings one")
    return host


@pytest.fixture(scope="session")
def ollama_pid(ollama_host: str) -> int:
    """Process id of that daemon, whose runners `scripts.testbed.runner` watches."""
    pid = OUTSIDE.get("OLLAMA_MCP_TESTBED_PID")
    if not pid:
        pytest.skip("this daemon is not the test bed's own, so its runners cannot be watched")
    return int(pid)

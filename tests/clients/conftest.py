"""Clients that are not ours, and what they meet: the shipped command, as a host starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.testbed import cache
from scripts.testbed.node import modules, program
from tests.live.conftest import lent, ollama_host  # noqa: F401 - fixtures, here as there

HERE = Path(__file__).parent
CACHE = cache.folder()
COMMAND = str(Path(sysconfig.get_path("scripts"), "ollama-mcp-server"))
#: Where no daemon is: the server must start, list and describe everything all the same.
NOWHERE = "127.0.0.1:9"
#: Of the models that a daemon of the tests can have, those that chat; the first there is taken.
CHAT_MODELS = ("testbed/chat:135m", "smollm2:135m")

#: A target is {"url": …} or {"command": …, "args": […], "env": {…}}, as the SDKs want it.
Target = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """Node and the packages of package.json, outside the repository."""

    modules: Path
    env: dict[str, str]

    def __call__(self, script: Path | str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a script: one of ours by its path, one of a package by its path in node_modules."""
        return subprocess.run(
            [program(), self.modules / script, *args],
            env=self.env, cwd=self.env["HOME"], capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture(scope="session")
def node(environment: dict[str, str]) -> Node:
    """Node, with the pinned packages installed into the cache folder (once for each lock file)."""
    return Node(modules(HERE, CACHE), environment)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a host gives a server, and nothing of the developer's own."""
    home = str(tmp_path_factory.mktemp("home"))
    return {"PATH": os.environ["PATH"], "HOME": home, "OLLAMA_MCP_START_DAEMON": "never"}


Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def serve(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Start a server over HTTP on a free port, as a child: `with serve(*command) as url`."""

    @contextmanager
    def served(*command: str, ollama: str = NOWHERE) -> Iterator[str]:
        log = tmp_path_factory.mktemp("server") / "stderr.txt"
        env = {**environment, "OLLAMA_HOST": ollama}
        with log.open("w") as stderr:
            child = subprocess.Popen(command, stderr=stderr, env=env, cwd=HERE.parents[1])
        try:
            yield listening(child, log)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(15)
            finally:
                child.kill()
        assert "Traceback" not in log.read_text(), log.read_text()

    return served


def listening(child: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the line on stderr that says where the server listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and child.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if line.startswith("ollama-mcp-server: http") and line.endswith("\n"):
                return line.split()[1]
        time.sleep(0.05)
    raise AssertionError(f"the server does not listen ({child.poll()=}):\n{log.read_text()}")


@pytest.fixture(scope="session")
def alone(serve: Serve) -> Iterator[str]:
    """URL of the shipped command over HTTP, with no daemon anywhere."""
    with serve(COMMAND, "--transport", "http", "--port", "0") as url:
        yield url


@pytest.fixture(scope="session")
def with_ollama(serve: Serve, ollama_host: str) -> Iterator[str]:  # noqa: F811
    """URL of the shipped command over HTTP, with the real daemon."""
    with serve(COMMAND, "--transport", "http", "--port", "0", ollama=ollama_host) as url:
        yield url


@pytest.fixture
def target(transport: str, request: pytest.FixtureRequest, environment: dict[str, str]) -> Target:
    """The shipped command over `transport`, with the real daemon."""
    if transport == "http":
        return {"url": request.getfixturevalue("with_ollama")}
    host = request.getfixturevalue("ollama_host")
    return {"command": COMMAND, "args": [], "env": {**environment, "OLLAMA_HOST": host}}


@pytest.fixture(scope="session")
def chat_model(ollama_host: str) -> str:  # noqa: F811
    """A model that chats."""
    told = httpx.get(f"{ollama_host}/api/tags", trust_env=False).json()
    installed = {model["name"] for model in told["models"]}
    for name in CHAT_MODELS:
        if name in installed:
            return name
    pytest.fail(f"{ollama_host} has none of {CHAT_MODELS}, but {sorted(installed)}")


def output(ran: subprocess.CompletedProcess[str]) -> str:
    """Return what a program said, for the message of a failed assertion."""
    return f"exit {ran.returncode}\n--- stdout\n{ran.stdout}\n--- stderr\n{ran.stderr}"


def answer(ran: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON that a program printed."""
    assert ran.returncode == 0, output(ran)
    try:
        return json.loads(ran.stdout)
    except ValueError:
        raise AssertionError(f"no JSON: {output(ran)}") from None

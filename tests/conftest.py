"""What nearly every test uses: a server in memory, a client of either era, a scripted daemon."""

from __future__ import annotations

import os

os.environ["FASTMCP_ENV_FILE"] = os.devnull  # before FastMCP is imported, as the command does

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.client import CallToolResult

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from scripts.testbed import binaries
from tests.fake_ollama import FakeOllama

#: The environment as it was, before `no_settings_from_outside` takes our variables out.
OUTSIDE = dict(os.environ)
#: How many live tests there are, so that CI notices when some are not collected any more.
LISTED = Path(__file__).parent / "live" / "listed.txt"

CHAT, THINKER, EMBEDDER, PICTURES, INSERT = (
    "llama3.2:3b",
    "qwen3:8b",
    "all-minilm:22m",
    "llava:7b",
    "codellama:7b",
)
HELLO = [{"role": "user", "content": "Hello there"}]


@pytest.fixture(scope="session")
def one_daemon() -> Iterator[FakeOllama]:
    with FakeOllama() as daemon:
        yield daemon


@pytest.fixture
def daemon(one_daemon: FakeOllama) -> FakeOllama:
    """The scripted daemon, as new."""
    one_daemon.reset()
    return one_daemon


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Keep the developer's own variables and settings file out of the tests."""
    for name in list(os.environ):
        if name.startswith(("OLLAMA_MCP_", "OLLAMA_HOST", "OLLAMA_API_KEY", "OLLAMA_CLOUD")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OLLAMA_MCP_START_DAEMON", "never")  # a daemon that is away is to stay away


MakeApp = Callable[..., App]


@pytest.fixture
async def make_app(daemon: FakeOllama) -> AsyncIterator[MakeApp]:
    """Make Apps with settings of one's own; each is closed after the test."""
    made: list[App] = []

    def make(**settings: Any) -> App:
        made.append(App(Settings(**{"ollama_host": daemon.url, "toolsets": "all", **settings})))
        return made[-1]

    yield make
    for app in made:
        await app.aclose()


@pytest.fixture
def app(make_app: MakeApp) -> App:
    return make_app()


@pytest.fixture
def server(app: App) -> FastMCP[Any]:
    return build_server(app)


@pytest.fixture
async def client(server: FastMCP[Any]) -> AsyncIterator[Caller]:
    async with Caller(server, mode="auto") as caller:
        yield caller


@pytest.fixture(params=["legacy", "auto"])
async def either_era(server: FastMCP[Any], request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A client of the handshake era, then one of 2026-07-28."""
    async with Caller(server, mode=request.param) as caller:
        yield caller


class Caller(Client[Any]):
    """FastMCP's client, which checks every result against the schema that the tool publishes."""

    async def call(self, name: str, /, **arguments: Any) -> CallToolResult:
        """Call a tool; an error is a result too, and must fit the schema as well."""
        progress = arguments.pop("on_progress", None)
        result = await self.call_tool(
            name, arguments, raise_on_error=False, progress_handler=progress
        )
        if not hasattr(self, "published"):
            self.published = {tool.name: tool.output_schema for tool in await self.list_tools()}
        jsonschema.validate(result.structured_content, self.published[name])
        return result

    async def error(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must fail; return its structured error, which its text must hold."""
        result = await self.call(name, **arguments)
        assert result.is_error, result
        error = result.structured_content["error"]
        assert error["message"] in text(result)
        assert error["hint"].rstrip(".") in text(result)
        assert "Traceback" not in text(result)
        assert "pydantic" not in text(result)
        return error


def text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many tests talked to a real daemon, and to which."""
    ran = live_outcomes(terminalreporter)
    version = OUTSIDE.get("OLLAMA_MCP_TESTBED_VERSION") or "of the environment"
    terminalreporter.write_sep(
        "=",
        f"live tests: {ran['passed']} passed, {ran['failed']} failed, "
        f"{ran['skipped']} skipped, against Ollama {version}",
    )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI, fail a run of all live tests if some were skipped or fewer, or on another daemon."""
    config = session.config
    if OUTSIDE.get("CI") != "true" or "tests/live" not in config.args or exitstatus:
        return
    if hasattr(config, "workerinput"):  # one of several processes, which has seen but a part
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    ran, listed = live_outcomes(reporter), int(LISTED.read_text())
    version = OUTSIDE.get("OLLAMA_MCP_TESTBED_VERSION")
    if ran["skipped"] or ran["passed"] < listed or version != binaries.VERSION:
        reporter.write_line(
            f"CI: {ran['skipped']} live tests were skipped, {ran['passed']} of {listed} passed, "
            f"the daemon is {version} and should be {binaries.VERSION}",
            red=True,
        )
        session.exitstatus = 1


def live_outcomes(reporter: Any) -> Counter[str]:
    """Count the outcomes of the tests that are marked live."""
    return Counter(
        {
            outcome: sum(
                "live" in getattr(report, "keywords", {})
                for report in reporter.stats.get(outcome, [])
            )
            for outcome in ("passed", "failed", "skipped", "error")
        }
    )

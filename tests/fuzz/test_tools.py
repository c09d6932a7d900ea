"""Every tool, called with all that its schema allows, nearly allows, and does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st
from mcp import MCPError

from ollama_mcp_server.app import App
from ollama_mcp_server.errors import OllamaMCPError
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from tests.conftest import Caller
from tests.fake_ollama import FakeOllama
from tests.fuzz.arguments import arguments, senses
from tests.fuzz.cases import WANTED, Tally, cases
from tests.fuzz.ground import Ground, harmless

#: Seconds that a call may take at most; a scripted daemon answers at once.
PATIENCE = 60.0
LOGGERS = ("ollama_mcp_server", "fastmcp", "mcp")
CODES = {kind.code for kind in OllamaMCPError.__subclasses__()}


class Lines(logging.Handler):
    """All that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class House:
    """A server that keeps every secret, and a client of it, in a loop of their own."""

    def __init__(self, portal: BlockingPortal, client: Caller, log: Lines, ground: Ground) -> None:
        self.client, self.log = client, log
        self.sense = senses(ground.paths)
        self._portal = portal
        self.tools = {tool.name: tool for tool in portal.call(client.list_tools)}

    def call(self, tool: str, given: dict[str, Any]) -> str:
        """Call a tool, look at what it says, and return how it ended."""
        try:
            called = self._portal.start_task_soon(lambda: self.client.call(tool, **given))
            try:
                result = called.result(PATIENCE)
            except TookTooLong:
                called.cancel()
                raise AssertionError(f"{tool} took longer than {PATIENCE} s") from None
        except MCPError as error:
            harmless(str(error))
            if error.error.code not in (-32600, -32602):
                raise
            return "error"
        harmless(f"{result.content} {result.structured_content} {result.meta}")
        if not result.is_error:
            return "answered"
        error = result.structured_content["error"]
        assert error["code"] in CODES, error
        assert error["message"], error
        assert error["hint"] or error["code"] == "invalid_argument", error
        return "refused"

    def still_serves(self) -> None:
        """Fail if the server does not list its tools any more, or the log tells of harm."""
        assert {tool.name for tool in self._portal.call(self.client.list_tools)} == {*self.tools}
        said, self.log.lines[:] = "\n".join(self.log.lines), []
        harmless(said, answer=False)


@contextmanager
def opened(daemon: str, ground: Ground) -> Iterator[House]:
    """Give a house on this ground, whose daemon is at that URL."""
    log, loggers = Lines(), [logging.getLogger(name) for name in LOGGERS]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ground.variables(daemon).items():
            patch.setenv(name, value)
        patch.delenv("OLLAMA_MCP_STATE_URL")  # so that conversations can be had
        caller = Caller(build_server(App(Settings(start_daemon="never"))), mode="auto")
        for logger in loggers:
            logger.addHandler(log)
        with (
            start_blocking_portal("asyncio") as portal,
            portal.wrap_async_context_manager(caller) as client,
        ):
            yield House(portal, client, log, ground)
        for logger in loggers:
            logger.removeHandler(log)


@pytest.fixture(scope="module")
def house(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(one_daemon.url, Ground.at(tmp_path_factory.mktemp("ground"))) as house:
        yield house


NAMES = [
    *("ollama_agent", "ollama_batch", "ollama_chat", "chat_completion", "ollama_conversations"),
    *("ollama_embed", "ollama_generate", "ollama_job", "ollama_pull", "ollama_create"),
    *("ollama_delete", "ollama_list", "ollama_show", "ollama_ps", "ollama_load", "ollama_copy"),
    *("ollama_push", "ollama_verify_tools", "ollama_web_search", "ollama_web_fetch"),
]


def test_every_tool_is_tried(house: House) -> None:
    assert {*house.tools} == {*NAMES}


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.parametrize("name", NAMES)
def test_whatever_it_is_given_a_tool_answers_in_our_words(
    name: str, house: House, daemon: FakeOllama, record_property: Callable[[str, object], None]
) -> None:
    tally = Tally()
    schema = house.tools[name].input_schema

    @cases(6, share=1 / len(NAMES))
    @given(st.data())
    def tried(data: st.DataObject) -> None:
        daemon.reset()
        tally.count(house.call(name, data.draw(arguments(schema, house.sense), label=name)))

    tried()
    house.still_serves()
    tally.record(record_property)

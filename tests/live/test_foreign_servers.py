"""MCP servers that others have made, as child processes of ours: files, git and times."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from ollama_mcp_server.agent.definitions import rules
from ollama_mcp_server.agent.definitions.documents import Definition, parse_definitions
from ollama_mcp_server.agent.servers.hub import Hub
from ollama_mcp_server.settings import environment
from scripts.testbed import servers
from tests.live.sessions import CACHE
from tests.live.workplaces import configured, repository, running, wait_for

#: Of each server, the protocol that it speaks and tools that it has.
KNOWN = {
    "filesystem": ("2025-11-25", {"list_directory", "read_text_file", "write_file"}),
    "git": ("2026-07-28", {"git_status", "git_log", "git_commit"}),
    "time": ("2026-07-28", {"get_current_time", "convert_time"}),
}


@pytest.fixture(scope="module")
def definitions() -> list[Definition]:
    """The three servers, as an operator configures them."""
    told = configured(servers.filesystem(CACHE), servers.git(), servers.time())
    return parse_definitions(told, "the test")


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub(environment())
    yield hub
    await hub.aclose()


@pytest.fixture
def token() -> str:
    return f"token-{secrets.token_hex(4)}"


@pytest.fixture
def folder(tmp_path: Path, token: str) -> Path:
    """A folder with one file that holds the token, beside one that is no business of anybody."""
    (tmp_path / "secret.txt").write_text("not for you")
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes.txt").write_text(f"The word is {token}.\n")
    return work


def enabled(definitions: list[Definition], path: Path | None) -> dict[str, str]:
    """Return the servers that are enabled for a path, each with the reason."""
    verdicts = rules.judge(definitions, path, environment())
    return {one.definition.name: one.why for one in verdicts if one.enabled}


def said(result: mcp_types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


@pytest.mark.parametrize("name", KNOWN)
async def test_each_starts_and_lists_its_tools_for_a_client_that_is_not_ours(
    name: str, definitions: list[Definition], folder: Path
) -> None:
    definition = next(one for one in definitions if one.name == name)
    repository(folder, "first")
    args = rules.command_line(definition, folder)
    way = StdioTransport(definition.command, args, keep_alive=False)
    async with Client(way, mode="auto") as client:
        tools = {tool.name for tool in await client.list_tools()}
        assert (client.protocol_version, KNOWN[name][1] <= tools) == (KNOWN[name][0], True)


async def test_all_serve_one_run_side_by_side(
    definitions: list[Definition], hub: Hub, folder: Path, token: str
) -> None:
    repository(folder, f"Say {token}")
    async with hub.lease(definitions, folder) as lease:
        assert lease.down == []
        for name, tools in lease.tools.items():
            assert KNOWN[name][1] <= {tool.name for tool in tools}

        async def ask(server: str, tool: str, **arguments: Any) -> str:
            return said(await lease.call(server, tool, arguments, 20))

        assert "notes.txt" in await ask("filesystem", "list_directory", path=str(folder))
        file = str(folder / "notes.txt")
        assert token in await ask("filesystem", "read_text_file", path=file)
        assert f"Say {token}" in await ask("git", "git_log", repo_path=str(folder))
        zones = {"source_timezone": "Etc/UTC", "target_timezone": "Asia/Tokyo"}
        assert "T21:30:00+09:00" in await ask("time", "convert_time", time="12:30", **zones)
    assert [status.state for status in hub.statuses()] == ["up"] * 3
    assert running(str(folder))
    await hub.aclose()
    wait_for(lambda: not running(str(folder)))


def test_git_is_enabled_only_inside_a_repository(
    definitions: list[Definition], folder: Path
) -> None:
    assert set(enabled(definitions, None)) == {"time"}
    assert set(enabled(definitions, folder)) == {"filesystem", "time"}
    repository(folder, "first")
    assert set(enabled(definitions, folder)) == {"filesystem", "git", "time"}


async def test_the_server_of_files_is_limited_to_its_folder(
    definitions: list[Definition], hub: Hub, folder: Path
) -> None:
    (folder / "way").symlink_to(folder.parent)
    files = [one for one in definitions if one.name == "filesystem"]
    async with hub.lease(files, folder) as lease:
        for path in (folder.parent / "secret.txt", folder / "way" / "secret.txt"):
            result = await lease.call("filesystem", "read_text_file", {"path": str(path)}, 20)
            assert result.is_error
            assert "Access denied" in said(result)
            assert "not for you" not in said(result)

"""Agents on real models, with real servers: what they find out."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import models, recorder, servers
from scripts.testbed.daemon import Daemon
from scripts.testbed.recorder import Recorder
from tests.live.sessions import CACHE, in_memory
from tests.live.workplaces import configured, ours, own, repository, running, wait_for

pytestmark = pytest.mark.live


@pytest.fixture
def token() -> str:
    """A word that no model can know."""
    return f"zebra{secrets.randbelow(9000) + 1000}"


@pytest.fixture
def folder(tmp_path: Path, token: str) -> Path:
    """A folder with a file that holds the token."""
    work = tmp_path / "work"
    work.mkdir()
    furnish(work, token)
    return work


def furnish(folder: Path, token: str) -> None:
    """Write a file that holds the token, and one that is called by it."""
    (folder / "notes.txt").write_text(f"The secret word is {token}.\n")
    (folder / f"{token}.txt").touch()


@pytest.fixture
def watched(ollama: Daemon) -> Iterator[Recorder]:
    with recorder.start(ollama.url) as seen:
        yield seen


async def asked(
    way: str, watched: Recorder, home: Path, definitions: list[dict[str, Any]], **arguments: Any
) -> dict[str, Any]:
    """Let an agent work, over stdio or in memory, and return what came of it."""
    if way == "stdio":
        with ours(home, watched.url, *definitions) as server:
            return server.call("ollama_agent", **arguments)["structuredContent"]
    told = {"servers": configured(*definitions), "roots": (home,)}
    async with in_memory(watched.url, **told) as caller:
        return (await caller.call("ollama_agent", **arguments)).structured_content


def prompts(watched: Recorder) -> list[dict[str, Any]]:
    """Return the requests that ask a model for a turn."""
    bodies = [seen.json for seen in watched.exchanges if seen.path == "/api/chat"]
    return [body for body in bodies if body.get("messages")]


@pytest.mark.parametrize(
    ("tool", "task"),
    [
        ("list_directory", "List the files of {} and tell me their names, in one sentence."),
        (
            "read_text_file",
            "Read the file {}/notes.txt and tell me what it says, in one sentence.",
        ),
    ],
    ids=["list", "read"],
)
@pytest.mark.parametrize("way", ["stdio", "memory"])
async def test_a_model_without_tools_lists_a_folder_and_reads_a_file(
    way: str, tool: str, task: str, watched: Recorder, token: str
) -> None:
    """One of 135 million parameters does so in 29 of 30 folders; so it gets a second one."""
    for _ in range(2):
        watched.exchanges.clear()
        with tempfile.TemporaryDirectory(prefix="work") as folder:
            furnish(Path(folder), token)
            said = await asked(
                way,
                watched,
                Path(folder),
                [servers.filesystem(CACHE)],
                model=models.CHAT,
                path=folder,
                task=task.format(folder),
                tools=["list_directory", "read_text_file"],
            )
        if said["stop_reason"] == "answered" and token in str(said["steps"]):
            break
    assert (said["mode"], said["stop_reason"]) == ("fallback", "answered"), said
    assert [step["tool"] for step in said["steps"]] == [f"filesystem:{tool}"], said
    assert token in said["steps"][0]["result"]
    before, *_, after = prompts(watched)
    assert token not in str(before["messages"])
    assert token in str(after["messages"])
    wait_for(lambda: not running(folder))


@pytest.mark.parametrize(
    ("tool", "task", "arguments"),
    [
        ("get_weather", "What is the weather in Oslo?", {"city": "Oslo"}),
        ("get_time", "What time is it?", {}),
        ("add", "What is 6 plus 7?", {"a": 6, "b": 7}),
    ],
)
@pytest.mark.parametrize("way", ["stdio", "memory"])
async def test_a_model_with_tools_calls_them_by_its_own_template(
    way: str,
    tool: str,
    task: str,
    arguments: dict[str, Any],
    watched: Recorder,
    tmp_path: Path,
    token: str,
) -> None:
    said = await asked(
        way, watched, tmp_path, [own("city.py", token)], model=models.TOOLS, task=task, tools=[tool]
    )
    assert (said["mode"], said["stop_reason"], said["rounds"]) == ("native", "answered", 2), said
    assert [step["tool"] for step in said["steps"]] == [f"city:{tool}"]
    assert said["steps"][0]["arguments"] == arguments
    assert token in said["steps"][0]["result"]
    before, after = prompts(watched)[-2:]
    assert [offered["function"]["name"] for offered in before["tools"]] == [f"city__{tool}"]
    assert token not in str(before["messages"])
    assert token in after["messages"][-1]["content"]
    wait_for(lambda: not running(token))


async def test_git_is_offered_only_inside_a_repository(
    watched: Recorder, folder: Path, token: str
) -> None:
    errand = {"model": models.TOOLS, "task": "What is new?", "path": str(folder), "max_rounds": 1}
    definitions = servers.git(), servers.time()
    with ours(folder.parent, watched.url, *definitions) as server:
        server.call("ollama_agent", **errand)
        assert offered(watched) == {"time"}
        refused = server.call("ollama_agent", **errand, servers=["git"])["structuredContent"]
        assert "MCP server failed to initialize" in refused["error"]["message"]
        repository(folder, token)
        watched.exchanges.clear()
        server.call("ollama_agent", **errand)
        assert offered(watched) == {"git", "time"}

    with ours(folder.parent, watched.url, servers.git()) as server:
        (folder / ".git").rename(folder / "elsewhere")
        refused = server.call("ollama_agent", **errand)["structuredContent"]["error"]
        assert refused["message"].startswith("No MCP servers matched for --tools context")
        assert ".git" in refused["message"] + refused["hint"]


def offered(watched: Recorder) -> set[str]:
    """Return the servers whose tools a model was offered first."""
    tools = prompts(watched)[0]["tools"]
    return {tool["function"]["name"].partition("__")[0] for tool in tools}

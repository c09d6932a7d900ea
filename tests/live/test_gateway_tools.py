"""Plain HTTP to our real process: tools of servers that others made, and questions to real models.

Open WebUI's contract is played by a client that knows a base address and OpenAPI, no MCP.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from scripts.testbed import models, runner, servers
from scripts.testbed.daemon import Daemon
from tests.gateway.webui import ToolServer
from tests.gateway.workshop import error_of, key_of
from tests.live.sessions import CACHE, LONG, over_http, user
from tests.live.workplaces import configured, own, repository, running, wait_for

pytestmark = pytest.mark.live

RAIN = "What is the weather in Oslo?"
#: Writes for many seconds.
COUNT = "Count: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,"


@pytest.fixture
def token() -> str:
    """A word that no model can know."""
    return f"zebra{secrets.randbelow(9000) + 1000}"


@pytest.fixture
def folder(tmp_path: Path, token: str) -> Path:
    """A repository with a file that holds the token."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes.txt").write_text(f"The secret word is {token}.\n")
    return repository(work, f"Say {token}")


@asynccontextmanager
async def gateway(
    ollama: Daemon, *definitions: dict[str, Any], **environment: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Start our process with the gateway, and give a client of it."""
    told = {"OLLAMA_MCP_GATEWAY": "1", "OLLAMA_MCP_SERVERS": configured(*definitions)}
    with over_http(ollama.url, **told, **environment) as url:
        base = url.removesuffix("/mcp")
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
            yield client


def official(folder: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the servers that others made, and the settings that limit them to a folder."""
    three = [servers.filesystem(CACHE), servers.git(), servers.time()]
    return three, {"OLLAMA_MCP_ROOTS": str(folder)}


async def test_open_webui_uses_the_servers_that_others_made(
    ollama: Daemon, folder: Path, token: str
) -> None:
    definitions, settings = official(folder)
    async with gateway(ollama, *definitions, **settings) as client:
        files = await ToolServer(client, "/tools/filesystem").connect()
        OpenAPIV31SpecValidator(files.document).validate()
        listed = await files.execute("filesystem__list_directory", {"path": str(folder)})
        assert "notes.txt" in str(listed)
        path = str(folder / "notes.txt")
        assert token in str(await files.execute("filesystem__read_text_file", {"path": path}))
        outside = await files.execute("filesystem__read_text_file", {"path": "/etc/passwd"})
        assert outside["error"].startswith("HTTP error 403")
        new = {"path": str(folder / "new.txt"), "content": "x"}
        denied = await files.execute("filesystem__write_file", new)
        assert denied["error"].startswith("HTTP error 403")
        assert not (folder / "new.txt").exists()

        times = await ToolServer(client, "/tools/time").connect()
        zones = {"source_timezone": "Etc/UTC", "target_timezone": "Asia/Tokyo", "time": "12:30"}
        told = await times.execute("time__convert_time", zones)
        assert "T21:30:00+09:00" in str(told)

        every = await ToolServer(client, "/tools").connect()
        OpenAPIV31SpecValidator(every.document).validate()
        assert f"Say {token}" in str(
            await every.execute("git__git_log", {"repo_path": str(folder)})
        )
        said = {"model": models.CHAT, "messages": [user("What is the capital of France?")]}
        answer = await every.execute("ollama_chat", {**said, "options": LONG})
        assert "Paris" in answer["content"]
        shown = await every.execute("ollama_show", {"model": models.TOOLS})
        assert "tools" in shown["capabilities"]


async def test_a_call_that_may_destroy_is_made_where_it_says_so(
    ollama: Daemon, folder: Path
) -> None:
    definitions, settings = official(folder)
    order = {
        "tool": "filesystem:write_file",
        "arguments": {"path": str(folder / "new.txt"), "content": "new"},
    }
    async with gateway(ollama, *definitions, **settings) as client:
        assert error_of(await client.post("/api/do", json=order))[0] == 403
        assert not (folder / "new.txt").exists()
        said = await client.post("/api/do", json={**order, "allow_destructive": True})
        assert said.status_code == 200, said.text
        assert (folder / "new.txt").read_text() == "new"


async def test_a_question_is_answered_with_tools(ollama: Daemon, token: str) -> None:
    async with gateway(ollama, own("city.py", token)) as client:
        body = {"question": RAIN, "model": models.TOOLS, "tools": ["get_weather"]}
        said = (await client.post("/api/ask", json=body)).json()
        (step,) = said["steps"]
        assert (step["tool"], step["arguments"]) == ("city:get_weather", {"city": "Oslo"})
        assert token in step["result"]
        assert said["stop_reason"] == "answered"
        assert said["usage"]["prompt_tokens"] > 20


async def test_a_stream_shows_the_calls_and_the_words_as_they_come(
    ollama: Daemon, token: str
) -> None:
    body = {"question": RAIN, "model": models.TOOLS, "tools": ["get_weather"], "stream": True}
    async with gateway(ollama, own("city.py", token)) as client:
        told = await client.post("/api/ask", json=body)
    blocks = [block.split("\n") for block in told.text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in blocks]
    data = [json.loads(line.removeprefix("data: ")) for _, line in blocks]
    assert names[:4] == ["asking", "calling", "called", "asking"]
    assert token in data[2]["result"]
    assert names[-1] == "ended"
    words = [one["content"] for name, one in zip(names, data, strict=True) if name == "said"]
    assert len(words) > 3
    assert "".join(words) == data[-1]["answer"]


async def test_a_model_without_tools_answers_too(ollama: Daemon, token: str) -> None:
    question = "What is the capital of France?"
    async with gateway(ollama, own("city.py", token)) as client:
        plain = {"question": question, "model": models.CHAT, "servers": []}
        assert "Paris" in (await client.post("/api/ask", json=plain)).json()["answer"]
        said = await client.post("/api/ask", json={"question": question, "model": models.CHAT})
        assert said.status_code == 200, said.text
        assert said.json()["answer"]


async def test_who_leaves_a_stream_stops_the_model(ollama: Daemon) -> None:
    body = {"question": COUNT, "model": models.CHAT, "servers": [], "stream": True}
    async with gateway(ollama) as client:
        async with client.stream("POST", "/api/ask", json=body) as said:
            async for line in said.aiter_lines():
                if line == "event: said":
                    break
            assert not runner.is_idle(ollama.pid, 0.05), "the runner should be at work"
        await asyncio.to_thread(runner.wait_until_idle, ollama.pid, 2, 0.1)


async def test_a_server_that_was_killed_is_started_again(ollama: Daemon, token: str) -> None:
    async with gateway(ollama, own("city.py", token), own("fails.py", "x")) as client:
        for _ in range(2):
            said = await client.post("/tools/city/get_time", json={})
            assert said.json() == {"result": f"It is 12:34 and {token}."}
            for number in running(token):
                os.kill(number, signal.SIGKILL)
            wait_for(lambda: not running(token))
        status, code, words = error_of(await client.post("/tools/fails/x", json={}))
        assert (status, code) == (503, "server_down")
        assert "fails is down since" in words
        whole = (await client.get("/tools/openapi.json")).json()
        assert "/city/get_time" in whole["paths"]
        assert not [path for path in whole["paths"] if path.startswith("/fails/")]


async def test_keys_have_their_scopes(ollama: Daemon, token: str) -> None:
    keys = {"agent": key_of("agent", "agent"), "asker": key_of("asker", "infer")}
    kept = json.dumps({"keys": [kept for _, kept in keys.values()]})
    async with gateway(ollama, own("city.py", token), OLLAMA_MCP_KEYS=kept) as client:

        async def status(name: str, path: str, **body: Any) -> int:
            headers = {"Authorization": f"Bearer {keys[name][0]}"}
            return (await client.post(path, json=body, headers=headers)).status_code

        chat = {"model": models.CHAT, "messages": [user("Hello")], "options": LONG}
        assert await status("agent", "/tools/city/get_time") == 200
        assert await status("agent", "/tools/ollama/ollama_delete", model=models.CHAT) == 403
        assert await status("agent", "/tools/ollama/ollama_chat", **chat) == 403
        assert await status("asker", "/tools/city/get_time") == 403
        assert await status("asker", "/api/ask", question=RAIN, model=models.CHAT) == 200
        assert (await client.post("/api/ask", json={"question": RAIN})).status_code == 401
        names = {one["name"] for one in (await client_list(client, keys["agent"][0]))}
        assert names == {"ollama", "city"}


async def client_list(client: httpx.AsyncClient, key: str) -> list[dict[str, Any]]:
    """Return the servers that a key is shown."""
    said = await client.get("/tools", headers={"Authorization": f"Bearer {key}"})
    listed: list[dict[str, Any]] = said.json()["servers"]
    return listed

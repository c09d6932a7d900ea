"""Tools where there are several hosts: the argument `host`, who answered, what is shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.resources.running import RUNNING
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, EMBEDDER, HELLO, THINKER, Caller, MakeApp, text
from tests.daemon.hosts.asking import PART, asked, drop, load
from tests.fake_ollama import FakeOllama

HOST = "ollama/host"
WITH = {
    "chat_completion",
    "ollama_agent",
    "ollama_batch",
    "ollama_chat",
    "ollama_copy",
    "ollama_create",
    "ollama_delete",
    "ollama_embed",
    "ollama_generate",
    "ollama_list",
    "ollama_load",
    "ollama_ps",
    "ollama_pull",
    "ollama_push",
    "ollama_show",
    "ollama_verify_tools",
}


@pytest.fixture
async def client(several: App) -> AsyncIterator[Caller]:
    async with Caller(build_server(several), mode="auto") as caller:
        yield caller


async def test_the_argument_is_there_where_there_are_several(
    client: Caller, make_app: MakeApp
) -> None:
    told = {tool.name: tool.input_schema["properties"] for tool in await client.list_tools()}
    assert {name for name, properties in told.items() if "host" in properties} == WITH
    assert told["ollama_chat"]["host"]["enum"] == ["desk", "gpu"]
    async with Caller(build_server(make_app())) as alone:
        tools = await alone.list_tools()
        assert not any("host" in tool.input_schema["properties"] for tool in tools)
        error = await alone.error("ollama_generate", prompt="x", host="gpu")
    assert error["code"] == "invalid_argument"


async def test_who_answers_is_told(client: Caller, gpu: FakeOllama) -> None:
    await load(gpu)
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO)
    assert result.meta[HOST] == "gpu"
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO, host="desk")
    assert result.meta[HOST] == "desk"


@pytest.mark.parametrize(
    ("tool", "arguments", "path"),
    [
        ("ollama_generate", {"prompt": "x"}, "/api/generate"),
        ("chat_completion", {"messages": HELLO}, "/api/chat"),
        ("ollama_embed", {"input": "x", "model": EMBEDDER}, "/api/embed"),
        ("ollama_show", {"model": CHAT}, "/api/show"),
        ("ollama_load", {"model": CHAT}, "/api/generate"),
        ("ollama_pull", {"model": "gemma3:1b"}, "/api/pull"),
        ("ollama_create", {"model": "mine", "from": CHAT}, "/api/create"),
        ("ollama_copy", {"source": CHAT, "destination": "mine"}, "/api/copy"),
        ("ollama_push", {"model": CHAT}, "/api/push"),
        ("ollama_delete", {"model": CHAT}, "/api/delete"),
    ],
)
async def test_the_host_that_is_named_does_it(
    tool: str,
    arguments: dict[str, Any],
    path: str,
    client: Caller,
    desk: FakeOllama,
    gpu: FakeOllama,
) -> None:
    result = await client.call(tool, host="gpu", **arguments)
    assert not result.is_error, text(result)
    assert (asked(desk, path), asked(gpu, path) > 0) == (0, True)
    assert result.meta[HOST] == "gpu"


async def test_a_batch_and_its_host(client: Caller, desk: FakeOllama, gpu: FakeOllama) -> None:
    result = await client.call(
        "ollama_batch", prompt="Say {{item}}", items=["a", "b"], model=CHAT, host="gpu"
    )
    assert not result.is_error, text(result)
    assert asked(desk, "/api/generate") + asked(desk, "/api/chat") == 0


async def test_an_unknown_host_is_an_error_with_near_names(client: Caller) -> None:
    error = await client.error("ollama_generate", prompt="x", host="dsk")
    assert error["code"] == "invalid_argument"
    assert error["details"]["nearest"] == ["desk"]


async def test_without_a_model_one_of_the_named_host_is_chosen(
    client: Caller, gpu: FakeOllama
) -> None:
    drop(gpu)
    error = await client.error("ollama_generate", prompt="x", host="gpu")
    assert error["code"] == "capability_missing"


async def test_the_list_tells_where(client: Caller, gpu: FakeOllama) -> None:
    drop(gpu, THINKER)
    result = await client.call("ollama_list")
    rows = {row["name"]: row["hosts"] for row in result.structured_content["models"]}
    assert (rows[CHAT], rows[THINKER]) == (["desk", "gpu"], ["desk"])
    assert "on desk and gpu" in text(result)
    result = await client.call("ollama_list", host="gpu")
    assert {tuple(row["hosts"]) for row in result.structured_content["models"]} == {("gpu",)}


async def test_the_list_tells_which_host_is_silent(client: Caller, gpu: FakeOllama) -> None:
    gpu.reply("/api/tags", status=500)
    result = await client.call("ollama_list")
    [warning] = result.structured_content["warnings"]
    assert "gpu is down" in warning
    assert warning in text(result)


async def test_ps_tells_where_and_how_each_host_is(
    client: Caller, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await load(gpu)
    desk.reply("/api/version", status=500)
    result = await client.call("ollama_ps")
    [row] = result.structured_content["models"]
    assert (row["name"], row["host"]) == (CHAT, "gpu")
    first, second = result.structured_content["hosts"]
    assert (first["name"], first["state"], bool(first["error"])) == ("desk", "down", True)
    assert (second["name"], second["state"], second["version"]) == ("gpu", "up", "0.34.4")
    assert "on gpu" in text(result)
    assert "desk at" in text(result)
    result = await client.call("ollama_ps")
    assert result.structured_content["hosts"][0]["state"] == "up"
    contents = await client.read_resource(RUNNING)
    assert [host["name"] for host in json.loads(contents[0].text)["hosts"]] == ["desk", "gpu"]


async def test_of_two_places_a_delete_must_name_one(
    client: Caller, desk: FakeOllama, gpu: FakeOllama
) -> None:
    error = await client.error("ollama_delete", model=CHAT)
    assert error["details"]["hosts"] == ["desk", "gpu"]
    assert not asked(desk, "/api/delete") + asked(gpu, "/api/delete")


async def test_calls_at_the_same_time_have_hosts_of_their_own(client: Caller) -> None:
    names = ["desk", "gpu"] * 5
    calls = (client.call("ollama_generate", prompt="x", model=CHAT, host=name) for name in names)
    assert [result.meta[HOST] for result in await asyncio.gather(*calls)] == names


async def test_a_job_goes_on_at_its_host(
    make_app: MakeApp, desk: FakeOllama, gpu: FakeOllama
) -> None:
    app = make_app(hosts={"desk": desk.url, "gpu": gpu.url}, wait=0.1)
    gpu.hold("/api/generate")
    async with Caller(build_server(app)) as client:
        result = await client.call("ollama_generate", prompt="x", model=CHAT, host="gpu")
        gpu.release("/api/generate")
        job = result.structured_content["job"]
        result = await client.call("ollama_job", job=job, wait=5)
    assert result.meta[HOST] == "gpu"
    assert asked(desk, "/api/generate") == 0


async def test_an_answer_that_breaks_off_is_told_as_ever(
    client: Caller, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await load(desk)
    desk.reply("/api/chat", PART, cut=True)
    error = await client.error("ollama_chat", model=CHAT, messages=HELLO)
    assert error["details"]["content"] == "a"
    assert asked(gpu) == 0

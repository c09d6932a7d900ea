"""The models and what is loaded, as resources: what is listed, what is read, what fails."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from fastmcp import FastMCP
from fastmcp.resources.template import expand_uri_template
from mcp import MCPError

from ollama_mcp_server import reading
from ollama_mcp_server.resources.models import MODELS, uri_of
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, Caller, MakeApp
from tests.fake_ollama import FakeOllama

STATIC = ["ollama://models", "ollama://running", "ollama://servers"]
#: Names as registries have them.
NAMES = [
    "qwen3:8b",
    "hf.co/user/repo:Q4_K_M",
    "registry.example.com:5000/team/model.v2:1.0-rc1",
    "x:7b",
    "me/my_model",
]


async def read(client: Caller, uri: str) -> dict[str, Any]:
    content = await client.read_resource(uri)
    assert [each.mime_type for each in content] == ["application/json"]
    assert str(content[0].uri) == uri
    value = json.loads(content[0].text)
    assert isinstance(value, dict)
    return value


async def refused(client: Caller, uri: str) -> Any:
    with pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    assert "Traceback" not in caught.value.error.message
    return caught.value.error


async def test_the_list_holds_each_installed_model(either_era: Caller) -> None:
    listed = {str(each.uri): each for each in await either_era.list_resources()}
    assert list(listed)[:3] == STATIC
    model = listed[f"ollama://models/{CHAT}"]
    assert model.name == model.title == CHAT
    assert model.mime_type == "application/json"
    assert "completion, tools (1.9 GB" in (model.description or "")
    assert model.annotations is not None
    assert model.annotations.last_modified
    assert len(listed) == 8


async def test_every_listed_resource_can_be_read(either_era: Caller) -> None:
    for each in await either_era.list_resources():
        await read(either_era, str(each.uri))


async def test_models_and_running_are_what_the_tools_answer(either_era: Caller) -> None:
    await either_era.call("ollama_load", model=CHAT)
    for uri, tool in (("ollama://models", "ollama_list"), ("ollama://running", "ollama_ps")):
        answered = (await either_era.call(tool)).structured_content
        assert await read(either_era, uri) == answered
    answered = (await either_era.call("ollama_show", model=CHAT)).structured_content
    assert await read(either_era, f"ollama://models/{CHAT}") == answered


@pytest.mark.parametrize("name", NAMES)
async def test_every_name_goes_there_and_back(
    either_era: Caller, daemon: FakeOllama, name: str
) -> None:
    """As the list writes it, and percent-encoded as a client expands the template."""
    templates = {
        each.name: each.uri_template for each in await either_era.list_resource_templates()
    }
    expanded = templates["model"].replace("{name*}", name.replace("/", "%2F").replace(":", "%3A"))
    ours = expand_uri_template(templates["model"], {"name": name})
    for uri in (f"{MODELS}/{name}", expanded, ours, uri_of(name)):
        daemon.reply("/api/show", {"capabilities": ["completion"]})
        await either_era.read_resource(uri)
        asked = daemon.requests[-1].body["model"]
        assert asked.removesuffix(":latest") == name


def test_a_name_without_a_tag_is_the_latest() -> None:
    assert uri_of("mine") == uri_of("mine:latest") == "ollama://models/mine:latest"
    assert uri_of("host:5000/mine") == "ollama://models/host:5000/mine:latest"


async def test_what_is_not_there_is_told_with_near_names(either_era: Caller) -> None:
    old = either_era.protocol_version < "2026"
    error = await refused(either_era, "ollama://models/llama3.2:7b")
    assert error.code == (-32002 if old else -32602)
    assert error.message.startswith("the model 'llama3.2:7b' is not installed. Did you mean llama")
    assert error.data["uri"] == "ollama://models/llama3.2:7b"
    assert error.data["code"] == "model_not_found"
    assert "ollama_pull" in error.data["hint"]
    error = await refused(either_era, "ollama://modells")
    assert error.code == (-32002 if old else -32602)
    assert "Did you mean ollama://models" in error.message


async def test_a_failing_daemon_is_told(either_era: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/tags", status=500, error="disk on fire")
    error = await refused(either_era, "ollama://models")
    assert error.code == -32603
    assert "disk on fire" in error.message
    assert error.data["code"] == "daemon_error"


async def test_a_fault_of_ours_stays_here(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture
) -> None:
    @server.resource("ollama://broken")
    def broken() -> str:
        raise RuntimeError("the secret of the house")

    async with Caller(server) as client:
        error = await refused(client, "ollama://broken")
    assert error.code == -32603
    assert "secret" not in str(error)
    assert "log" in error.message
    assert "the secret of the house" in caplog.text


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_with_no_daemon_the_static_ones_are_listed(make_app: MakeApp, era: str) -> None:
    server = build_server(make_app(ollama_host="127.0.0.1:9"))
    async with Caller(server, mode=era) as client:
        assert [str(each.uri) for each in await client.list_resources()] == STATIC
        assert "model" in [each.name for each in await client.list_resource_templates()]
        error = await refused(client, "ollama://models")
    assert "ollama serve" in error.message
    assert error.data["code"] == "daemon_unreachable"


async def test_a_daemon_that_does_not_answer_holds_up_no_list(
    either_era: Caller, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.05)
    daemon.hold("/api/tags")
    with anyio.fail_after(20):
        assert [str(each.uri) for each in await either_era.list_resources()] == STATIC
    daemon.release("/api/tags")
    assert len(await either_era.list_resources()) == 8


async def test_what_others_change_is_in_the_next_list(
    either_era: Caller, daemon: FakeOllama
) -> None:
    assert len(await either_era.list_resources()) == 8
    daemon.reply("/api/tags", {"models": [{"name": "hf.co/new/one:Q4_K_M", "size": 5}]})
    listed = [str(each.uri) for each in await either_era.list_resources()]
    assert listed == [*STATIC, "ollama://models/hf.co/new/one:Q4_K_M"]


async def test_listing_resources_asks_the_daemon_and_the_start_does_not(
    server: FastMCP[Any], daemon: FakeOllama
) -> None:
    async with Caller(server) as client:
        await client.list_tools()
        await client.list_prompts()
        await client.list_resource_templates()
        assert not daemon.requests
        await client.list_resources()
        assert [request.path for request in daemon.requests] == ["/api/tags"]

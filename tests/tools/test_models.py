"""What is installed, what it can do, what is loaded."""

from __future__ import annotations

import pytest

from tests.conftest import CHAT, EMBEDDER, PICTURES, THINKER, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama


async def test_the_list_says_what_each_can_do(either_era: Caller) -> None:
    result = await either_era.call("ollama_list")
    rows = {row["name"]: row for row in result.structured_content["models"]}
    assert rows[CHAT]["capabilities"] == ["completion", "tools"]
    assert rows[CHAT]["details"]["context_length"]
    assert "model" not in rows[CHAT]
    assert f"{CHAT}: completion, tools" in text(result)


@pytest.mark.parametrize(
    ("filters", "names"),
    [({"capability": "vision"}, [PICTURES]), ({"name": "QWEN"}, [THINKER]),
     ({"capability": "embedding"}, [EMBEDDER]), ({"name": "zzz"}, [])],
)  # fmt: skip
async def test_filters(client: Caller, filters: dict[str, str], names: list[str]) -> None:
    result = await client.call("ollama_list", **filters)
    assert [row["name"] for row in result.structured_content["models"]] == names
    assert names or "no model matches" in text(result)


async def test_pages(client: Caller) -> None:
    whole = await client.call("ollama_list")
    seen, offset = [], 0
    while offset is not None:
        page = (await client.call("ollama_list", limit=2, offset=offset)).structured_content
        seen += page["models"]
        assert page["total"] == whole.structured_content["total"]
        offset = page.get("next_offset")
    assert seen == whole.structured_content["models"]


async def test_an_empty_library_says_what_to_do(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/tags", {"models": []})
    assert "ollama_pull" in text(await client.call("ollama_list"))


async def test_a_remote_model_is_marked(client: Caller, daemon: FakeOllama) -> None:
    row = {"name": "far", "model": "far", "modified_at": "2026-01-01T00:00:00Z", "size": 1,
           "digest": "d", "remote_model": "x", "remote_host": "https://ollama.com"}  # fmt: skip
    daemon.reply("/api/tags", {"models": [row]})
    assert "leaves this machine" in text(await client.call("ollama_list"))


async def test_show_leaves_out_what_is_long(client: Caller) -> None:
    short = (await client.call("ollama_show", model=CHAT)).structured_content
    whole = (await client.call("ollama_show", model=CHAT, verbose=True)).structured_content
    assert short["capabilities"] == ["completion", "tools"]
    assert not {"license", "modelfile", "template", "tensors"} & set(short)
    assert {"modelfile", "template"} <= set(whole)


async def test_ps_tells_the_daemon_too(client: Caller) -> None:
    empty = await client.call("ollama_ps")
    assert empty.structured_content["models"] == []
    assert "no model is loaded" in text(empty)
    await client.call("ollama_load", model=CHAT)
    result = await client.call("ollama_ps")
    assert result.structured_content["models"][0]["name"] == CHAT
    assert result.structured_content["version"]
    assert CHAT in text(result)


async def test_ps_works_with_a_daemon_that_has_no_status(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/status", "404 page not found", status=404)
    result = await client.call("ollama_ps")
    assert not result.is_error
    assert "cloud" not in result.structured_content


@pytest.mark.parametrize("model", [CHAT, EMBEDDER])
async def test_load_and_unload(client: Caller, daemon: FakeOllama, model: str) -> None:
    loaded = await client.call("ollama_load", model=model, keep_alive="10m")
    assert loaded.structured_content["done_reason"] == "load"
    asked = [r.body for r in daemon.requests if r.path in ("/api/generate", "/api/embed")]
    assert asked[-1]["keep_alive"] == "10m"
    unloaded = await client.call("ollama_load", model=model, keep_alive=0)
    assert unloaded.structured_content["done_reason"] == "unload"


async def test_a_model_that_had_to_go_is_told(client: Caller, daemon: FakeOllama) -> None:
    row = {"name": THINKER, "model": THINKER, "size": 1, "digest": "d", "size_vram": 1,
           "expires_at": "2026-01-01T00:00:00Z", "context_length": 1}  # fmt: skip
    daemon.reply("/api/ps", {"models": [row]})
    daemon.reply("/api/ps", {"models": [row | {"name": CHAT}]})
    result = await client.call("ollama_load", model=CHAT)
    assert f"{THINKER} was unloaded to make room" in text(result)


@pytest.mark.parametrize("tool", ["ollama_show", "ollama_load", "ollama_delete"])
async def test_an_unknown_model_gets_near_names(client: Caller, tool: str) -> None:
    error = await client.error(tool, model="llama3.2")
    assert error["code"] == "model_not_found"
    assert error["details"]["nearest"] == [CHAT]


async def test_no_daemon_anywhere(make_app: MakeApp) -> None:
    from ollama_mcp_server.server import build_server

    async with Caller(build_server(make_app(ollama_host="127.0.0.1:9"))) as client:
        for tool in ("ollama_list", "ollama_ps"):
            error = await client.error(tool)
            assert error["code"] == "daemon_unreachable"
            assert error["retryable"]
            assert "ollama serve" in error["hint"]

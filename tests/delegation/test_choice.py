"""The model for a call that names none."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.choice import Choice, best, needs_of, parameters
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, EMBEDDER, HELLO, PICTURES, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama
from tests.tools.test_chat import RED

GB = 10**9


def row(name: str, weights: str = "1B", capabilities: str = "completion", **more: Any) -> Any:
    return {"name": name, "size": GB, "modified_at": "2026-01-01T00:00:00Z",
            "capabilities": capabilities.split(), "details": {"parameter_size": weights},
            **more}  # fmt: skip


ROWS = [row("small:1"), row("big:1", "70.6B", size=40 * GB), row("mid:1", "8.0B", size=5 * GB),
        row("eyes:1", "4B", "completion vision"), row("embed:1", "22.57M", "embedding"),
        row("far:cloud", "671B", remote_host="https://ollama.com")]  # fmt: skip


def model(needs: str = "completion", running: str = "", configured: str | None = None,
          memory: int | None = 16 * GB) -> str | None:  # fmt: skip
    choice = best(
        ROWS, running.split(), needs.split(), [Choice(configured)] if configured else [], memory
    )
    return choice.model if choice else None


def test_the_configured_one_comes_first() -> None:
    assert model(configured="SMALL:1", running="mid:1") == "SMALL:1"


def test_then_one_that_is_loaded() -> None:
    assert model(running="embed:1 small:1") == "small:1"


def test_then_the_largest_that_fits() -> None:
    assert model() == "mid:1"
    assert model(memory=None) == "big:1"


def test_where_none_fits_the_largest_has_to_do() -> None:
    assert model(memory=1) == "big:1"


def test_it_must_be_able_to() -> None:
    assert model("completion vision", running="mid:1", configured="mid:1") == "eyes:1"
    assert model("embedding", running="mid:1", configured="mid:1") == "embed:1"
    assert model("completion audio") is None


def test_a_remote_one_is_never_taken_unasked() -> None:
    assert model(configured="far:cloud", running="far:cloud") == "mid:1"


def test_newest_and_name_decide_a_draw() -> None:
    new = row("b", modified_at="2026-05-01T00:00:00Z")
    assert best([row("c"), row("a"), new], [], ["completion"], [], None).model == "b"
    assert best([row("c"), row("a")], [], ["completion"], [], None).model == "a"


@pytest.mark.parametrize(
    ("size", "count"), [("8.0B", 8e9), ("134.52M", 134.52e6), ("", 0), ("big", 0), (None, 0)]
)
def test_parameters(size: Any, count: float) -> None:
    assert parameters({"details": {"parameter_size": size}}) == count


def test_needs() -> None:
    body = {"messages": [{"images": ["x"]}], "tools": [{}], "think": True, "suffix": ""}
    assert needs_of(body) == ["completion", "tools", "vision", "thinking"]
    assert needs_of({"prompt": "x", "suffix": "y"}) == ["completion", "insert"]


async def test_a_call_without_a_model_says_which_answered(client: Caller) -> None:
    await client.call("ollama_load", model=CHAT)
    for tool, given in (("ollama_chat", {"messages": HELLO}), ("ollama_generate", {"prompt": "Hi"}),
                        ("chat_completion", {"messages": HELLO})):  # fmt: skip
        result = await client.call(tool, **given)
        assert result.structured_content["model"] == CHAT
        assert f"{CHAT} answered: it is loaded" in text(result)


async def test_what_the_call_needs_decides(client: Caller) -> None:
    message = {"role": "user", "content": "Which colour?", "images": [RED]}
    result = await client.call("ollama_chat", messages=[message])
    assert PICTURES in text(result)
    result = await client.call("ollama_embed", input="x")
    assert result.structured_content["model"] == EMBEDDER


async def test_the_default_of_the_settings(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app(model="qwen3:8b"))) as client:
        result = await client.call("ollama_chat", messages=HELLO)
    assert result.structured_content["model"] == "qwen3:8b"


async def test_nothing_installed_says_what_to_get(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/tags", {"models": []})
    error = await client.error("ollama_chat", messages=HELLO)
    assert error["code"] == "capability_missing"
    assert "ollama_pull" in error["hint"]

"""Names as the daemon resolves them, and names that come near."""

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.daemon.catalog import capable, full_name, nearest
from tests.conftest import CHAT
from tests.fake_ollama import FakeOllama

NAMES = ["llama3.2:3b", "llama3.2:1b", "qwen3:8b", "all-minilm:22m", "hf.co/a/b:q4"]


@pytest.mark.parametrize(
    ("name", "full"),
    [("llama3.2", "llama3.2:latest"), ("LLAMA3.2:3B", "llama3.2:3b"),
     ("library/x", "x:latest"), ("registry.ollama.ai/library/x:1", "x:1"),
     ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest")],
)  # fmt: skip
def test_full_name(name: str, full: str) -> None:
    assert full_name(name) == full


@pytest.mark.parametrize(
    ("wrong", "first"),
    [("llama3.2", "llama3.2:3b"), ("lama3.2:3b", "llama3.2:3b"), ("qwen", "qwen3:8b"),
     ("Qwen3:4b", "qwen3:8b"), ("minilm", "all-minilm:22m")],
)  # fmt: skip
def test_nearest(wrong: str, first: str) -> None:
    assert nearest(wrong, NAMES)[0] == first


def test_nothing_near() -> None:
    assert nearest("zzz", NAMES) == []
    assert nearest("", NAMES) == []


def test_capable() -> None:
    models = [{"name": "a", "capabilities": ["tools"]}, {"name": "b"}]
    assert capable(models, "tools") == ["a"]


async def test_the_list_is_believed_for_a_moment(app: App, daemon: FakeOllama) -> None:
    await app.catalog.installed()
    assert await app.catalog.find(CHAT.upper())
    assert len(daemon.requests) == 1
    app.catalog.forget()
    await app.catalog.installed()
    assert len(daemon.requests) == 2

"""ollama_verify_tools, with the scripted daemon."""

from __future__ import annotations

from tests.conftest import CHAT, Caller, text
from tests.fake_ollama import FakeOllama
from tests.tools.test_chat import final, says


async def test_a_model_is_tried_once_for_each_digest(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("Paris, I think."), final(), times=100)
    result = await client.call("ollama_verify_tools", model=CHAT)
    said = result.structured_content
    assert said["model"] == CHAT
    assert said["mode"] == "fallback"
    assert said["of"] == len(said["tasks"]) == 6
    assert set(said["passed"]) == {"native", "fallback"}
    assert said["tasks"][0]["native"].startswith("failed: answered in words")
    assert "ollama_agent asks it in the mode fallback" in text(result)
    asked = len(daemon.requests)
    again = await client.call("ollama_verify_tools", model=CHAT)
    assert again.structured_content == said
    chats = [each for each in daemon.requests[asked:] if each.path == "/api/chat"]
    assert chats == []
    anew = await client.call("ollama_verify_tools", model=CHAT, again=True)
    assert anew.structured_content["of"] == 6
    assert [each for each in daemon.requests[asked:] if each.path == "/api/chat"]


async def test_a_model_that_is_not_there(client: Caller) -> None:
    error = await client.error("ollama_verify_tools", model="nothing:1b")
    assert error["code"] == "model_not_found"

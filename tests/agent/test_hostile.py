"""A server that means harm, as a real child process: nothing that it says orders or breaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.server import build_server
from tests.conftest import Caller, MakeApp
from tests.fake_ollama import FakeOllama
from tests.tools.test_agent import TOOLS, calls, chats
from tests.tools.test_chat import final, says

SERVER = Path(__file__).parent.parent / "servers" / "hostile.py"
HOSTILE = {
    "name": "hostile", "command": sys.executable, "args": [str(SERVER)], "auto_enable": "always",
}  # fmt: skip


async def run(make_app: MakeApp, **given: Any) -> dict[str, Any]:
    app = make_app(servers=json.dumps([HOSTILE]))
    async with Caller(build_server(app)) as caller:
        result = await caller.call("ollama_agent", task="Read the notes", model=TOOLS, **given)
    said: dict[str, Any] = result.structured_content
    return said


async def test_its_orders_are_data_and_its_results_are_cut(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", calls(("hostile__read", {})), final())
    daemon.reply("/api/chat", says("Nothing of note."), final())
    said = await run(make_app)
    assert said["content"] == "Nothing of note."
    assert [step["tool"] for step in said["steps"]] == ["hostile:read"]
    for request in chats(daemon):
        sent = json.dumps(request.body, ensure_ascii=False)
        assert len(sent) < 60_000
        for forbidden in ("<|im_start|>", "</s>", "[INST]", "\u202e"):
            assert forbidden not in sent
        names = [one["function"]["name"] for one in request.body["tools"]]
        assert all(name.replace("_", "").replace("-", "").isalnum() for name in names)
        assert max(map(len, names)) <= 64


async def test_tools_that_turn_end_the_leave_that_was_given(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", calls(("hostile__read", {})), final())
    daemon.reply("/api/chat", calls(("hostile__wipe", {})), final())
    daemon.reply("/api/chat", says("I may not."), final())
    said = await run(make_app, allow_destructive=True)
    assert said["steps"][1]["error"].startswith("Access denied")


@pytest.mark.timeout(60)
async def test_a_pattern_of_its_schema_stalls_nobody(make_app: MakeApp, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", calls(("hostile__match", {"text": "a" * 40 + "!"})), final())
    daemon.reply("/api/chat", says("It does not match."), final())
    said = await run(make_app)
    assert said["content"] == "It does not match."
    assert said["steps"][0]["tool"] == "hostile:match", "what cannot be told is the server's to say"

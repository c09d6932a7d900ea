"""The calls and programs in docs/gateway.md, as they can be pasted: each of them is answered."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import CHAT
from tests.docs.blocks import blocks
from tests.fake_ollama import FakeOllama
from tests.gateway.workshop import opened, script

GUIDE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
CALL = re.compile(
    r"""curl(?: -N)?(?: -H "[^"]*")? http://127\.0\.0\.1:8000(/[^\s']*)(?: -H "[^"]*")?"""
    r"""(?:\s+-d '([^']*)')?"""
)
CALLS = [(path, body) for path, body in CALL.findall(GUIDE)]
#: Servers that the guide speaks of, and a tool of each.
TOOLS = {"filesystem": "read_text_file", "time": "get_current_time", "git": "git_log"}
ANY = {"type": "object", "properties": {}}


PROGRAMS = [block for block in blocks("python") if block.page.name == "gateway.md"]
#: What a daemon says to OpenAI's client.
COMPLETION = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": CHAT, "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris"}},
    ],
}  # fmt: skip


def servers_of(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the servers that the guide speaks of, as scripts."""
    servers = []
    for name, tool in TOOLS.items():
        (folder := tmp_path / name).mkdir()
        told = {"name": tool, "inputSchema": ANY, "annotations": {"readOnlyHint": True}}
        command = {"command": sys.executable, "args": [str(script(folder, [told]))]}
        rule = "always" if name == "filesystem" else "never"
        servers.append({"name": name, **command, "auto_enable": rule})
    return servers


async def test_every_call_of_the_guide_is_answered(daemon: FakeOllama, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in ("notes", "project"):
        (home / folder).mkdir(parents=True)
    async with opened(daemon, *servers_of(tmp_path), roots=(home,)) as client:
        for path, body in CALLS:
            if path.startswith("/v1/"):  # the scripted daemon has none of its own
                daemon.reply(path, {"from": "the daemon"})
            sent = told_to(path, json.loads(body.replace("/home/me", str(home)))) if body else None
            async with client.stream("POST" if body else "GET", path, json=sent) as said:
                first = b""
                async for piece in said.aiter_bytes():
                    first = piece
                    break
            assert said.status_code == 200, (path, first)
            assert first, path


async def test_every_program_of_the_guide_runs(daemon: FakeOllama, tmp_path: Path) -> None:
    assert len(PROGRAMS) > 4
    daemon.reply("/v1/chat/completions", COMPLETION)
    async with opened(daemon, *servers_of(tmp_path)) as client:
        url = str(client.base_url).rstrip("/")
        # as one, for later ones use what earlier ones have made
        program = "\nprint('---')\n".join(block.text for block in PROGRAMS)
        program = re.sub(r"qwen3:8b|llama3\.2", CHAT, program).replace("http://127.0.0.1:8000", url)
        ran = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.split("---")
    assert len(said) == len(PROGRAMS)
    assert all(text.strip() for text in said)


def told_to(path: str, sent: dict[str, Any]) -> dict[str, Any]:
    """Return what a call sends, with a model that the scripted daemon has."""
    is_asking = "model" in sent and "embeddings" not in path
    return {**sent, "model": CHAT} if is_asking else sent


def test_every_api_has_a_call() -> None:
    paths = {path for path, _ in CALLS}
    assert paths >= {
        "/api/ask",
        "/api/do",
        "/api/chat",
        "/tools",
        "/tools/filesystem/read_text_file",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/models",
        "/v1/messages",
        "/gateway/status",
    }

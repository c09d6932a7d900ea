"""What the documentation tells to type and to send does what it says, on a real daemon."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.testbed import daemon, models
from tests.commands.terminal import environment
from tests.docs.blocks import blocks, script
from tests.gateway.test_guide import CALLS
from tests.gateway.workshop import script as server
from tests.live.sessions import picture
from tests.live.workplaces import configured, repository
from tests.wire import PATIENCE, Http

pytestmark = pytest.mark.live

#: What the pages name, and the test bed's model that can do the same.
STAND_IN = {"llava:7b": models.VISION, "all-minilm": models.EMBED, "all-minilm:22m": models.EMBED}
NAMES = re.compile(r"(?:qwen[\w.-]+|llama3\.2|llava|gemma3|all-minilm)(?::[\w.-]+)?")


def told(text: str) -> str:
    """Return a text with models that there are."""
    return NAMES.sub(lambda name: STAND_IN.get(name[0], models.CHAT), text)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the files that the pages speak of, and a repository with a change."""
    made = tmp_path_factory.mktemp("home")
    for folder in ("docs", "notes", "photos", "bin"):
        (made / folder).mkdir()
    (made / "docs/one.md").write_text("Falcons nest on the cathedral.")
    (made / "notes/trip.md").write_text("The contract with Oslo is signed.")
    (made / "change.diff").write_text("-port = 1\n+port = 2\n")
    for name in ("photo.jpg", "photos/cat.jpg"):
        (made / name).write_bytes(b64decode(picture(255, 0, 0)))
    repository(made, "The first")
    (made / "docs/one.md").write_text("Falcons nest on the tower.")
    (made / "bin/ollama-mcp-server").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ollama_mcp_server "$@"\n'
    )
    (made / "bin/ollama-mcp-server").chmod(0o755)
    return made


@pytest.fixture(scope="module")
def gateway(ollama: daemon.Daemon, home: Path) -> Iterator[Http]:
    """The server with its gateway, the files of the pages, and a server `git` of one tool."""
    log = {"name": "git_log", "annotations": {"readOnlyHint": True}}
    tool = {**log, "inputSchema": {"type": "object", "properties": {}}}
    args = [str(server(home / "bin", [tool], 'text("Commit: the first")'))]
    git = {"name": "git", "command": sys.executable, "args": args, "auto_enable": "never"}
    variables = {"OLLAMA_MCP_ROOTS": str(home), "OLLAMA_MCP_SERVERS": configured(git)}
    with Http(home, "--gateway", OLLAMA_HOST=ollama.url, **variables) as running:
        yield running


def recipes() -> list[dict[str, Any]]:
    found = [json.loads(told(one.text)) for one in blocks("json") if one.page.stem == "recipes"]
    return [call for call in found if call["name"] != "ollama_agent"]


def test_each_recipe_is_answered(gateway: Http) -> None:
    for call in recipes():
        given = call["arguments"]
        if "models" in given:
            given["models"] = [models.CHAT, models.TOOLS]
        if "format" not in given and call["name"] != "ollama_embed":
            given["options"] = {"num_predict": 8}
        said = gateway.call(call["name"], **given)
        assert not said.get("isError"), (call, said["content"])


@pytest.mark.timeout(300)
def test_each_command_that_runs_a_model_does(ollama: daemon.Daemon, home: Path) -> None:
    lines = {
        NAMES.sub("", re.sub(r'".*"', "", line)): line  # one of those that are used alike
        for block in blocks("sh")
        for line in script(block).splitlines()
        if "ollama-mcp-server run " in line and " --tools" not in line
    }
    assert len(lines) > 2
    # each model of the pages is a profile: one that there is, and brief
    brief = {
        name: {"model": told(name), "options": {"num_predict": 8}}
        for name in NAMES.findall(" ".join(lines.values()))
    }
    variables = environment(home, OLLAMA_HOST=ollama.url, OLLAMA_MCP_PROFILES=json.dumps(brief))
    variables["PATH"] = f"{home / 'bin'}:{variables['PATH']}"
    for line in lines.values():
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=home, env=variables, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert ran.returncode == 0 or "cut at the length limit" in ran.stderr, (line, ran.stderr)
        assert ran.stdout.strip(), line


def test_each_request_of_the_gateway_s_guide_is_answered(gateway: Http) -> None:
    asked = [(path, body) for path, body in CALLS if "/tools/filesystem" not in path]
    asked = [(path, body) for path, body in asked if "time" not in body and "path" not in body]
    assert len(asked) > 8
    with httpx.Client(base_url=gateway.url.removesuffix("/mcp"), timeout=PATIENCE) as client:
        for path, body in asked:
            with client.stream("POST" if body else "GET", path, content=told(body)) as said:
                assert said.status_code == 200, (path, said.read())
                assert next(said.iter_bytes()), path

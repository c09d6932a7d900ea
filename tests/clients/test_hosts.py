"""Hosts that are not ours start the server as `install` has told them, and list it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.clients.catalogue import CLIENTS
from ollama_mcp_server.clients.entries import entries
from scripts.testbed.node import modules, program

from .conftest import CACHE, COMMAND, HERE, output

Ran = subprocess.CompletedProcess[str]
PATIENCE = 60


@dataclass
class Host:
    """A host with a home of its own, and the command that installs the server there."""

    client: str
    words: list[str]
    home: Path
    path: str

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": self.path, "HOME": str(self.home), "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    @property
    def file(self) -> Path:
        told = {"claude-code": ".claude.json", "gemini": ".gemini/settings.json"}
        return self.home / told.get(self.client, ".codex/config.toml")

    @property
    def entries(self) -> dict[str, Any]:
        """The servers in the host's file, without what is empty in them."""
        client = CLIENTS[self.client]
        held = entries(self.file.read_text(), client.format, client.container, "file")
        return {
            name: {key: value for key, value in entry.items() if value}
            for name, entry in held.items()
        }

    def __call__(self, *arguments: str) -> Ran:
        """Run the host to its end."""
        return self._run([*self.words, *arguments])

    def ours(self, command: str) -> dict[str, Any]:
        """Install the server in the host, or uninstall it; return what was told of it."""
        return json.loads(self._run([COMMAND, command, self.client, "--yes", "--json"]).stdout)

    def _run(self, words: list[str]) -> Ran:
        ran = subprocess.run(
            words, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert ran.returncode == 0, output(ran)
        return ran


@pytest.fixture(scope="session")
def hosts() -> Path:
    """The node_modules with the hosts (installed once for each lock file)."""
    return modules(HERE / "hosts", CACHE)


@pytest.fixture
def host(hosts: Path, environment: dict[str, str], tmp_path: Path) -> Callable[[str], Host]:
    """Return a host by the name that `install` has for it."""

    def made(client: str) -> Host:
        words = {
            "claude-code": [str(next(hosts.glob("@anthropic-ai/claude-code-*/claude*")))],
            "gemini": [str(program()), str(hosts / "@google/gemini-cli/bundle/gemini.js")],
            "codex": [str(program()), str(hosts / "@openai/codex/bin/codex.js")],
        }[client]
        return Host(client, words, tmp_path, environment["PATH"])

    return made


@pytest.mark.parametrize("client", ["claude-code", "gemini"])
def test_a_host_connects_to_what_install_entered(client: str, host: Callable[..., Host]) -> None:
    there = host(client)
    told = there.ours("install")
    assert told["answered"]
    assert told["tools"] > 0
    ran = there("mcp", "list")
    [line] = [line for line in (ran.stdout + ran.stderr).splitlines() if "ollama: " in line]
    assert line.endswith("Connected")
    before = there.entries
    there("mcp", "add", "-s", "user", "other", told["command"][0])  # its file is as it writes it
    assert there.entries["other"] == before["ollama"]  # and the same entry
    there.ours("uninstall")
    assert list(there.entries) == ["other"]


def test_codex_lists_the_tools_of_what_install_entered(host: Callable[..., Host]) -> None:
    codex = host("codex")
    told = codex.ours("install")
    with subprocess.Popen(
        [*codex.words, "app-server"], env=codex.env, cwd=codex.home, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        assert server.stdin
        assert server.stdout
        about = {"name": "tests", "title": "tests", "version": "1"}
        messages: list[dict[str, Any]] = [
            {"id": 1, "method": "initialize", "params": {"clientInfo": about}},
            {"method": "initialized"},
            {"id": 2, "method": "mcpServerStatus/list", "params": {}},
        ]
        server.stdin.writelines(json.dumps(message) + "\n" for message in messages)
        server.stdin.flush()
        answers = (json.loads(line) for line in server.stdout)
        [status] = next(one for one in answers if one.get("id") == 2)["result"]["data"]
        server.kill()
    assert status["name"] == "ollama"
    assert len(status["tools"]) == told["tools"]
    before = codex.entries
    codex("mcp", "add", "other", "--", *told["command"])
    assert codex.entries["other"] == before["ollama"]
    codex.ours("uninstall")
    assert [one["name"] for one in json.loads(codex("mcp", "list", "--json").stdout)] == ["other"]

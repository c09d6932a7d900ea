"""`ollama-mcp-server completion`: what a shell offers, asked of a real one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ollama_mcp_server import cli
from ollama_mcp_server.clients.catalogue import CLIENTS
from ollama_mcp_server.flags import COMMANDS
from tests.wire import PATIENCE

#: Answers as `ollama list` does; the last name is none, and a command to a careless shell.
OLLAMA = """#!/bin/sh
echo 'NAME ID SIZE'
echo 'qwen3:8b 1 5 GB'
echo 'qwen3:14b 2 9 GB'
echo 'llama3.2:3b 3 2 GB'
echo 'qwen3:$(touch${IFS}evil) 4 1 GB'
"""
ASK = """
COMP_LINE={line!r} COMP_POINT={point}
_ollama_mcp_server
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the scripts, and with a program that tells models."""
    for shell in ("bash", "zsh", "fish"):
        assert cli.run_command("completion", [shell]) == 0
        (tmp_path / shell).write_text(capsys.readouterr().out)
    (tmp_path / "ollama").write_text(OLLAMA)
    (tmp_path / "ollama").chmod(0o755)
    return tmp_path


def bash(folder: Path, text: str) -> list[str]:
    """Return the words that bash prints, with only this folder's programs and the system's."""
    result = subprocess.run(
        ["bash", "--norc", "-c", (folder / "bash").read_text() + text],
        cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert result.stderr == ""
    return result.stdout.split()


def offered(folder: Path, line: str) -> list[str]:
    """Return what bash offers at the end of a line."""
    return bash(folder, ASK.format(line=line, point=len(line)))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", [*COMMANDS]),
        ("in", ["install"]),
        ("install ", [*CLIENTS, "open-webui"]),
        ("install --scope ", ["user", "project"]),
        ("install cursor --sc", ["--scope"]),
        ("--transport ", ["stdio", "http"]),
        ("--transport http --log-level d", ["debug"]),
        ("--read", ["--read-only"]),
        ("keys r", ["remove"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("doctor --mod", ["--model"]),
        ("doctor --model l", ["llama3.2:3b"]),
        ("run qwen3:", ["8b", "14b"]),  # bash replaces what comes after the colon
        ("run --tools ", []),  # so that files are offered
    ],
)
def test_bash_offers_what_may_follow(line: str, words: list[str], scripts: Path) -> None:
    assert offered(scripts, f"ollama-mcp-server {line}") == words
    assert not (scripts / "evil").exists()


def test_bash_is_told_for_which_program(scripts: Path) -> None:
    told = bash(scripts, "complete -p ollama-mcp-server")
    assert told == ["complete", "-o", "default", "-F", "_ollama_mcp_server", "ollama-mcp-server"]


def test_every_flag_is_offered_in_each_shell(scripts: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        text = (scripts / shell).read_text()
        for flag in ("--ollama-host", "--no-read-only", "--connect", "--fix", "--scope", "--rpm"):
            assert flag in text
        assert "BRANCHES" not in text

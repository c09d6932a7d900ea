"""Every command line of the documentation: what is ours is parsed by us, the rest is known."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ollama_mcp_server.settings import Settings, variable

from .blocks import PAGES, ROOT, STANDS_FOR, Block, Command, blocks, commands, mentions, script
from .programs import KNOWN, UNTRIED

VARIABLES = {variable(name): name for name in Settings.model_fields}
#: Variables that are not settings of ours, and whose they are.
OTHERS = {
    "GRAFANA_PASSWORD": "Grafana's, in deploy/compose.scale.yaml",
    "OLLAMA_AUTH": "Ollama's own",
    "OLLAMA_CONTEXT_LENGTH": "Ollama's own",
    "OLLAMA_DEBUG": "Ollama's own, which counts here too",
    "OLLAMA_KEEP_ALIVE": "Ollama's own",
    "OLLAMA_MAX_LOADED_MODELS": "Ollama's own",
    "OLLAMA_MAX_QUEUE": "Ollama's own",
    "OLLAMA_MODELS": "Ollama's own",
    "OLLAMA_NUM_PARALLEL": "Ollama's own",
    "OLLAMA_ORIGINS": "Ollama's own",
}
#: Words that stand for what a reader puts there.
PLACEHOLDERS = {"CLIENT": "claude-desktop"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the folders and files that the commands speak of."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("project", "projects/site", "Documents/contracts", "notes"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ca.pem").touch()
    return tmp_path


@pytest.mark.parametrize("command", [*commands(), *mentions()], ids=str)
def test_a_command_is_one(command: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in command.variables.items():
        assert name in VARIABLES | OTHERS | {"host": ""}, f"{name} is no setting"
        monkeypatch.setenv(name, value.replace("…", STANDS_FOR).replace("~", str(home)))
    if command.variables.keys() & VARIABLES:
        Settings()
    if not command.words:
        return
    program = Path(command.words[0]).name
    assert program in KNOWN.keys() | UNTRIED.keys(), f"what is {program}?"
    if program in KNOWN:
        told = [PLACEHOLDERS.get(word, word) for word in command.words[1:]]
        KNOWN[program]([re.sub(r"^~", str(home), word) for word in told])


def test_nothing_is_excused_that_is_not_there() -> None:
    used = {Path(command.words[0]).name for command in commands() if command.words}
    assert set(UNTRIED) <= used


@pytest.mark.parametrize("block", blocks("sh", "bash", "console"), ids=str)
def test_a_script_is_bash(block: Block) -> None:
    ran = subprocess.run(
        ["bash", "-n"], input=script(block), text=True, capture_output=True, timeout=30
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("started", [["my_server.py"], ["-m", "ollama_mcp_server"]], ids=str)
def test_a_server_answers_the_line_that_tries_it_by_hand(started: list[str], home: Path) -> None:
    [block] = [one for one in blocks("sh") if "my_server.py" in one.text]
    shutil.copy(ROOT / "tests/servers/minimal.py", home / "my_server.py")
    tried = script(block).replace("python3 my_server.py", shlex.join([sys.executable, *started]))
    ran = subprocess.run(
        ["bash", "-c", tried], cwd=home, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    answer = json.loads(ran.stdout.splitlines()[0])
    assert answer["id"] == 1
    assert answer["result"]["serverInfo"]["name"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_of_ours_that_a_page_names_is_a_setting(page: Path) -> None:
    named = set(re.findall(r"\bOLLAMA_[A-Z_]*[A-Z]\b(?!_)", page.read_text(encoding="utf-8")))
    assert named <= VARIABLES.keys() | OTHERS.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(
        r"`((?:deploy|docs|scripts|tests|bench|bundle|ollama_mcp_server)/[\w./-]+)`",
        page.read_text(encoding="utf-8"),
    )
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing

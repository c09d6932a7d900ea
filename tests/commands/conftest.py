"""A home with servers configured in it, and the command as a child process without a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.terminal import environment
from tests.fake_ollama import FakeOllama
from tests.wire import COMMAND, PATIENCE

KEEPER = Path(__file__).parent / "keeper.py"
SECRET = "the-secret-9"

Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a folder `work`, and servers: one that works for it, three that do not."""
    made = tmp_path / "home"
    (made / "work").mkdir(parents=True)
    (made / "work/file.txt").write_text("a kestrel")
    (made / ".ollama").mkdir()
    keeper: dict[str, Any] = {"command": sys.executable, "args": [str(KEEPER)]}
    servers = [
        {
            **keeper,
            "name": "keeper",
            "description": "Keeps a file",
            "args": [str(KEEPER), str(made / "work/file.txt")],
            "auto_enable": "with_path",
        },
        {**keeper, "name": "unused", "args": [str(KEEPER), SECRET]},
        {
            **keeper,
            "name": "git",
            "auto_enable": "if_match",
            "enable_if": {"file_exists": ".git"},
        },
        {
            "name": "far",
            "url": f"http://user:{SECRET}@127.0.0.1:9/mcp?key={SECRET}",
            "headers": {"Authorization": SECRET},
        },
    ]
    (made / ".ollama/mcp-servers.json").write_text(json.dumps({"servers": servers}))
    return made


@pytest.fixture
def command(home: Path, daemon: FakeOllama) -> Callable[..., Ran]:
    """Run the command to its end; `piped` is what stands at its stdin, which is no terminal."""

    def run(*arguments: str, piped: str = "", **variables: str) -> Ran:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=home,
            env=environment(home, OLLAMA_HOST=daemon.url, **variables),
            input=piped,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run

"""What a server holds, and what it does not load before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

START = """
import json, sys
from ollama_mcp_server.settings import Settings, quiet_the_frame
quiet_the_frame()
from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
app = App(Settings(toolsets="all"))
build_server(app)
before = sorted({"ollama", "httpx", "cyclopts", "jsonref", "requests"} & set(sys.modules))
app.client
print(json.dumps([before, app.client.address.url]))
"""


def started(**env: str) -> list[object]:
    ran = subprocess.run([sys.executable, "-c", START], env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout))


def test_nothing_heavy_is_on_the_way_to_the_first_list() -> None:
    assert started()[0] == []


def test_a_spelling_that_the_ollama_package_chokes_on_does_no_harm() -> None:
    assert started(OLLAMA_HOST="::1", ALL_PROXY="socks5://127.0.0.1:9")[1] == "http://[::1]:11434"


def test_quotes_around_an_address_do_no_harm() -> None:
    assert started(OLLAMA_HOST=' "127.0.0.1" ')[1] == "http://127.0.0.1:11434"


def test_a_user_without_a_home_is_served(tmp_path: Path) -> None:
    """As a number without an entry in passwd, in a container."""
    program = "import os; os.path.expanduser = lambda path: path\n" + START
    folder = tmp_path / "~" / ".config" / "ollama-mcp-server"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("port = 'hostile'")
    ran = subprocess.run(
        [sys.executable, "-c", program], env={}, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr

"""The command that a client is told, and the links that tell it with one click."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import parse_qs, urlsplit

import pytest

from ollama_mcp_server.clients.launch import Start, command, is_ours, links

ROOT = Path(__file__).parents[2]
CACHE = PurePosixPath("/home/me/.cache/uv/archive-v0/x1/bin/python")
UVX = PurePosixPath("/home/me/.local/bin/uvx")


def start(script: str, python: object = CACHE, uvx: object = UVX, origin: object = None) -> Start:
    return Start(PurePosixPath(script), python, uvx, origin)  # type: ignore[arg-type]


def test_what_uvx_started_is_started_by_uvx() -> None:
    from_cache = start("/home/me/.cache/uv/archive-v0/x1/bin/ollama-mcp-server")
    assert command(from_cache) == [str(UVX), "ollama-mcp-server"]
    assert command(from_cache, is_shared=True) == ["uvx", "ollama-mcp-server"]
    assert command(start("/x/ollama-mcp-server", uvx=None)) == ["uvx", "ollama-mcp-server"]


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ({"url": "file:///home/me/check%20out", "dir_info": {}}, "/home/me/check out"),
        ({"url": "file:///C:/check/out", "dir_info": {}}, "C:/check/out"),
        (
            {"url": "https://x.org/a", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://x.org/a@abc",
        ),
        ({"url": "https://x.org/a.whl", "archive_info": {}}, "https://x.org/a.whl"),
    ],
)
def test_uvx_takes_it_again_from_where_it_was(origin: dict[str, object], source: str) -> None:
    words = command(start("/x/ollama-mcp-server", origin=origin))
    assert words == [str(UVX), "--from", source, "ollama-mcp-server"]


def test_an_installed_script_is_told_by_its_path() -> None:
    python = PurePosixPath("/venv/bin/python")
    assert command(start("/venv/bin/ollama-mcp-server", python)) == ["/venv/bin/ollama-mcp-server"]
    script = PureWindowsPath(r"C:\venv\Scripts\ollama-mcp-server.exe")
    there = Start(script, PureWindowsPath(r"C:\venv\Scripts\python.exe"), None, None)
    assert command(there) == [r"C:\venv\Scripts\ollama-mcp-server.exe"]


def test_what_was_started_as_a_module_is_again() -> None:
    python = PurePosixPath("/venv/bin/python")
    words = command(start("/site/ollama_mcp_server/__main__.py", python))
    assert words == ["/venv/bin/python", "-m", "ollama_mcp_server"]


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["uvx", "ollama-mcp-server"], True),
        (["/venv/bin/ollama-mcp-server", "--read-only"], True),
        ([r"C:\venv\Scripts\ollama-mcp-server.exe"], True),
        (["python3", "-m", "ollama_mcp_server"], True),
        (["uvx", "--from", "/work/ollama-mcp-server-fork", "other"], False),
        (["npx", "ollama-mcp"], False),
    ],
)
def test_the_server_is_known_by_its_command(words: list[str], ours: bool) -> None:
    assert is_ours(words) is ours


def test_a_link_holds_the_command_of_the_published_package() -> None:
    told = {"command": "uvx", "args": ["ollama-mcp-server"]}
    code, cursor = (parse_qs(urlsplit(links()[name]).query) for name in ("vscode", "cursor"))
    assert code["name"] == cursor["name"] == ["ollama"]
    assert json.loads(code["config"][0]) == told
    assert json.loads(base64.b64decode(cursor["config"][0], validate=True)) == told


def test_the_documentation_has_these_links() -> None:
    pages = [ROOT / "README.md", ROOT / "docs/install.md"]
    text = "\n".join(page.read_text() for page in pages)
    link = r"https://(?:vscode\.dev/redirect|cursor\.com/\S*install)[^)\s]*"
    assert set(re.findall(link, text)) == set(links().values())

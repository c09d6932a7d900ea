"""What a module offers besides tools: resources, templates, prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastmcp.prompts import Prompt
from fastmcp.resources import Resource, ResourceTemplate

from ollama_mcp_server import prompts, resources, tools
from ollama_mcp_server.discovery import discover
from ollama_mcp_server.server import build_server
from tests.conftest import Caller, MakeApp

MODULE = """
from fastmcp.prompts import prompt
from fastmcp.resources import resource

@resource("notes://all")
def notes() -> str:
    "Show the notes."
    return "remember the milk"

@resource("notes://{day}")
def note(day: str) -> str:
    "Show a note."
    return f"on {day}: milk"

@prompt
def buy(what: str) -> str:
    "Buy something."
    return f"Buy {what}."

@prompt
def choose_model(purpose: str) -> str:
    "Take a name that is taken."
    return purpose
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.py").write_text(MODULE)
    return tmp_path


def test_the_folder_comes_last_and_takes_no_name_away(folder: Path) -> None:
    complaints: list[str] = []
    found = list(discover(tools, folder, complaints.append, more=[resources, prompts]))
    assert [each.name for each in found][-3:] == ["notes", "note", "buy"]
    assert len(complaints) == 1
    assert "notes.py: 'choose_model' is left out, ollama_mcp_server.prompts.choice" in complaints[0]


def test_each_package_holds_what_its_name_says() -> None:
    def fail(complaint: str) -> None:
        raise AssertionError(complaint)

    assert all(isinstance(each, Prompt) for each in discover(prompts, None, fail))
    kinds = (Resource, ResourceTemplate)
    assert all(isinstance(each, kinds) for each in discover(resources, None, fail))


async def test_what_a_folder_offers_is_served(make_app: MakeApp, folder: Path) -> None:
    async with Caller(build_server(make_app(tools_dir=folder))) as client:
        assert (await client.read_resource("notes://all"))[0].text == "remember the milk"
        assert (await client.read_resource("notes://monday"))[0].text == "on monday: milk"
        result: Any = await client.get_prompt("buy", {"what": "milk"})
        assert result.messages[0].content.text == "Buy milk."
        chosen: Any = await client.get_prompt("choose_model", {"purpose": "milk"})
        assert "Choose one of my local models" in chosen.messages[0].content.text

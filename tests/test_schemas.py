"""The tools as hosts see them: definitions, budgets, and the rules for descriptions."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from ollama_mcp_server import discovery, tools
from ollama_mcp_server.app import App
from ollama_mcp_server.schemas import inlined, slimmed
from ollama_mcp_server.server import TOOLSETS, build_server
from ollama_mcp_server.settings import Settings
from tests.conftest import Caller, MakeApp

SNAPSHOTS = Path(tools.__file__).with_name("definitions")
#: One token of a schema is about four characters of compact JSON.
CHARACTERS_A_TOKEN = 4

Listed = dict[str, dict[str, Any]]


async def tools_of(app: App) -> Listed:
    async with Caller(build_server(app)) as client:
        return {
            tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            for tool in await client.list_tools()
        }


@pytest.fixture
async def listed(make_app: MakeApp) -> Listed:
    return await tools_of(make_app(api_key="k" * 16))


@pytest.fixture
async def default(make_app: MakeApp) -> Listed:
    return await tools_of(make_app(toolsets=Settings.model_fields["toolsets"].default))


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def test_definitions_are_what_the_functions_say(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are public API, and what is served: `make schemas` rewrites them; review the diff."""
    monkeypatch.setattr(discovery, "kept", lambda _: [])
    found = {path.stem for path in SNAPSHOTS.glob("*.json")}
    derived = await tools_of(make_app(api_key="k" * 16))
    for name, tool in derived.items():
        path = SNAPSHOTS / f"{name}.json"
        now = json.dumps(tool, ensure_ascii=False, indent=2) + "\n"
        if os.environ.get("UPDATE_SCHEMAS"):
            path.write_text(now)
        assert path.is_file(), f"no definition of {name}: make schemas"
        assert now == path.read_text(), f"{name} has changed: make schemas, and review the diff"
    assert found <= set(derived), "a definition of a tool that is gone"


async def test_tools_from_their_definitions_are_those_of_the_functions(
    listed: Listed, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "kept", lambda _: [])
    assert listed == await tools_of(make_app(api_key="k" * 16))


def test_the_default_tools(default: Listed) -> None:
    assert list(default) == [
        "ollama_agent", "ollama_batch", "ollama_chat", "chat_completion", "ollama_embed",
        "ollama_generate",
        "ollama_job", "ollama_pull", "ollama_create", "ollama_delete", "ollama_list",
        "ollama_show", "ollama_ps", "ollama_load", "ollama_verify_tools",
    ]  # fmt: skip


def test_bytes_of_the_list(default: Listed) -> None:
    assert len(compact(list(default.values())).encode()) <= 40_000


def test_tokens_that_a_model_is_sent(default: Listed) -> None:
    sent = [{"name": tool["name"], "description": tool["description"],
             "input_schema": tool["inputSchema"]} for tool in default.values()]  # fmt: skip
    assert len(compact(sent)) / CHARACTERS_A_TOKEN <= 4_500


async def test_read_only_offers_nothing_that_changes_the_library(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app(read_only=True, api_key="k" * 16))) as client:
        names = {tool.name for tool in await client.list_tools()}
    changing = {"ollama_pull", "ollama_create", "ollama_delete", "ollama_copy", "ollama_push"}
    assert not names & changing
    assert "ollama_load" in names


def test_a_toolset_that_is_none_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(ValueError, match="no toolset or tool chatt"):
        build_server(make_app(toolsets="chatt"))


async def test_web_needs_a_key(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app())) as client:
        assert not {t.name for t in await client.list_tools() if "web" in t.name}


async def test_toolsets_and_single_tools(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app(toolsets="chat,ollama_copy"))) as client:
        names = {tool.name for tool in await client.list_tools()}
    assert "ollama_copy" in names
    assert "ollama_chat" in names
    assert not names & {"ollama_push", "ollama_list"}


def test_every_tool_is_described_by_the_rules(listed: Listed) -> None:
    for name, tool in listed.items():
        description, first = tool["description"], tool["description"].splitlines()[0]
        assert tool["title"]
        assert tool["title"].lower() != name.replace("_", " ")
        assert len(first) <= 90, f"{name}: the first line is long"
        assert first.endswith("."), name
        assert len(description) <= 560, f"{name}: {len(description)} characters"
        assert "Use " in description, f"{name} does not say when to use it"
        assert "Returns " in description, f"{name} does not say what comes back"
        siblings = set(re.findall(r"\b(?:ollama_\w+|chat_completion)\b", description)) - {name}
        assert siblings, f"{name} names no neighbour to use instead"
        assert siblings <= set(listed), f"{name} names {siblings - set(listed)}"


def test_every_tool_states_its_four_hints(listed: Listed) -> None:
    for name, tool in listed.items():
        hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints <= set(tool["annotations"]), name


def test_every_argument_is_described(listed: Listed) -> None:
    for name, tool in listed.items():
        for argument, schema in tool["inputSchema"]["properties"].items():
            assert schema.get("description"), f"{name}.{argument}"


def test_schemas_are_plain(listed: Listed) -> None:
    """No references, no nulls, no type lists, no hidden arguments: every host can read them."""
    for name, tool in listed.items():
        told = compact([tool["inputSchema"], tool["outputSchema"]])
        for wrong in ("$ref", '"null"', '"type":[', '"hidden"', '"title":"'):
            assert wrong not in told, f"{name}: {wrong}"
        assert tool["inputSchema"]["additionalProperties"] is False


def test_every_tool_is_in_a_toolset(listed: Listed) -> None:
    for name, tool in listed.items():
        assert set(tool["_meta"]["fastmcp"]["tags"]) & set(TOOLSETS), name


def test_slimming() -> None:
    schema = {"type": "object", "title": "X", "properties": {
        "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None,
                  "description": "d"},
        "gone": {"type": "string", "hidden": True}}}  # fmt: skip
    assert slimmed(schema) == {
        "type": "object", "properties": {"title": {"type": "string", "description": "d"}}
    }  # fmt: skip


class Leaf(BaseModel):
    """A part."""

    name: str


class Branch(BaseModel):
    """A whole with parts, and with others of its kind."""

    leaf: Leaf = Field(description="The first.")
    leaves: list[Leaf] = []


class Tree(Branch):
    """A whole that holds its own kind."""

    trees: list[Tree] = []


def test_what_is_referred_to_stands_in_place_of_the_reference() -> None:
    schema = inlined(Branch.model_json_schema())
    assert "$ref" not in str(schema)
    assert "$defs" not in schema
    assert schema["properties"]["leaf"]["description"] == "The first."  # not the part's own
    assert (
        schema["properties"]["leaf"]["properties"]
        == schema["properties"]["leaves"]["items"]["properties"]
    )


def test_a_schema_that_refers_to_itself_keeps_its_references() -> None:
    assert "$ref" in str(inlined(Tree.model_json_schema()))

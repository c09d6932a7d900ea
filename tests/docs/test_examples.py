"""The documentation's JSON: calls, their results, configurations, messages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastmcp.tools import Tool
from mcp.types import client_request_adapter

from ollama_mcp_server.agent.definitions.documents import parse_definitions
from ollama_mcp_server.app import App
from ollama_mcp_server.middleware import Arguments
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings, variable

from .blocks import ROOT, STANDS_FOR, blocks
from .programs import KNOWN, NAME

SETTINGS = {variable(name) for name in Settings.model_fields}
#: Programs by which configurations start other servers.
SERVERS = {"bwrap", "docker", "npx", "python", "uv"}
#: Fields that show that an object is the structured part of a result.
RESULTS = {"content", "results"}


def is_call(example: Any) -> bool:
    return isinstance(example, dict) and {"name", "arguments"} <= example.keys()


def is_configuration(example: Any) -> bool:
    return isinstance(example, dict) and bool({"mcpServers", "servers"} & example.keys())


def examples(wanted: Callable[[Any], bool]) -> list[Any]:
    found = [(block, json.loads(block.text)) for block in blocks("json")]
    return [pytest.param(data, id=str(block)) for block, data in found if wanted(data)]


@pytest.fixture(scope="module")
def tools() -> dict[str, Tool]:
    """Every tool by its name."""
    server = build_server(App(Settings(toolsets=("all",), api_key="key")))
    return {tool.name: tool for tool in asyncio.run(server.list_tools(run_middleware=False))}


@pytest.mark.parametrize("example", examples(is_call))
def test_a_call_is_one(example: dict[str, Any], tools: dict[str, Tool]) -> None:
    tool = tools[example["name"]]
    given = example["arguments"]
    assert given.keys() <= Arguments.of(tool).accepted
    listed = {name: given[name] for name in given if name in tool.parameters["properties"]}
    jsonschema.validate(listed, tool.parameters)


def test_there_are_calls_of_every_kind_of_delegation() -> None:
    text = (ROOT / "docs" / "delegation.md").read_text()
    for tool in ("ollama_generate", "ollama_chat", "ollama_batch", "ollama_embed", "ollama_job"):
        assert f'"name": "{tool}"' in text


@pytest.mark.parametrize("example", examples(is_configuration))
def test_a_configuration_of_servers_is_read_by_our_own_reader(example: dict[str, Any]) -> None:
    text = json.dumps(example, ensure_ascii=False).replace("…", STANDS_FOR)
    definitions = parse_definitions(text, "the documentation")
    assert definitions
    for one in definitions:
        program = Path(one.command or "").name
        assert one.url or program in KNOWN or program in SERVERS
        if program in KNOWN and any(NAME in word for word in one.args):
            KNOWN[program]([re.sub("^/home/me.*", "/tmp", word) for word in one.args])
        assert {name for name in one.env if name.startswith("OLLAMA_")} <= SETTINGS


def results() -> list[Any]:
    """Results of tools, with the call that stands before them on their page."""
    found, call = [], None
    for block in blocks("json"):
        data = json.loads(block.text)
        if is_call(data):
            call = block.page, data["name"]
        elif "structuredContent" in data or RESULTS & data.keys():
            assert call is not None
            told = data.get("structuredContent", data)
            name = call[1] if call[0] == block.page else "ollama_chat"
            found.append(pytest.param(name, told, id=str(block)))
    return found


@pytest.mark.parametrize(("name", "told"), results())
def test_a_result_fits_the_schema_of_its_tool(
    name: str, told: dict[str, Any], tools: dict[str, Tool]
) -> None:
    schema = tools[name].output_schema
    assert schema is not None
    jsonschema.validate(told, schema)


def test_every_other_example_is_a_message_an_answer_over_http_or_another_program_s() -> None:
    others = [
        block
        for block in blocks("json")
        if not (is_call(data := json.loads(block.text)) or is_configuration(data))
        and not ("structuredContent" in data or RESULTS & data.keys())
    ]
    for block in others:
        data = json.loads(block.text)
        if "customHandler" in data:
            started = data["customHandler"]["description"]
            assert started["arguments"][:2] == ["-m", "ollama_mcp_server"]
            KNOWN["ollama-mcp-server"](started["arguments"][2:])
        elif "method" in data and "params" in data:
            client_request_adapter.validate_python({**data, "id": 1})
        else:
            assert block.page.name == "gateway.md"

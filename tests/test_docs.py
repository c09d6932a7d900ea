"""The documentation's examples are calls that the server takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.middleware import Arguments
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def calls() -> list[Any]:
    found = []
    for page in PAGES:
        for number, block in enumerate(
            re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
        ):
            example = _parsed(block)
            if isinstance(example, dict) and {"name", "arguments"} <= example.keys():
                found.append(pytest.param(example, id=f"{page.name}-{number}"))
    return found


def _parsed(block: str) -> Any:
    try:
        return json.loads(block)
    except ValueError:  # an excerpt, with an ellipsis
        return None


@pytest.mark.parametrize("example", calls())
async def test_a_call_of_the_documentation_is_one(example: dict[str, Any]) -> None:
    server = build_server(App(Settings(toolsets=("all",), api_key="key")))
    tool = await server.get_tool(example["name"])
    assert tool is not None
    given = example["arguments"]
    assert given.keys() <= Arguments.of(tool).accepted
    listed = {name: given[name] for name in given if name in tool.parameters["properties"]}
    jsonschema.validate(listed, tool.parameters)


def test_there_are_examples_of_every_kind_of_delegation() -> None:
    text = (ROOT / "docs" / "delegation.md").read_text()
    for tool in ("ollama_generate", "ollama_chat", "ollama_batch", "ollama_embed", "ollama_job"):
        assert f'"name": "{tool}"' in text

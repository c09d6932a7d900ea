"""Every tool was read blind: each of the five questions has its answer, and the call is one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .blocks import ROOT

PAGE = (ROOT / "docs" / "tool-descriptions.md").read_text(encoding="utf-8")
QUESTIONS = ["does", "when", "cost", "back", "call"]
SCHEMAS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(ROOT, "ollama_mcp_server", "tools", "definitions").glob("*.json"))
}


def answers(tool: str) -> dict[str, str]:
    """Return what the page says of a tool."""
    _, _, rest = PAGE.partition(f"### {tool}\n")
    section = rest.partition("\n### ")[0]
    return dict(re.findall(r"^\| (\w+) \| (.+) \|$", section, re.MULTILINE))


@pytest.mark.parametrize("tool", SCHEMAS)
def test_every_question_is_answered(tool: str) -> None:
    assert list(answers(tool)) == QUESTIONS


@pytest.mark.parametrize("tool", SCHEMAS)
def test_the_call_that_is_shown_is_one(tool: str) -> None:
    shown: list[Any] = [json.loads(one) for one in re.findall(r"`({.*?})`", answers(tool)["call"])]
    assert shown or tool == "chat_completion"
    for arguments in shown:
        jsonschema.validate(arguments, SCHEMAS[tool]["inputSchema"])

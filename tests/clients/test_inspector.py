"""The MCP Inspector's command line: the schemas by its strict rules, and calls as it makes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import COMMAND, NOWHERE, Node, Target, answer, output
from .visit import check_chat, check_list, plan

CLI = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"

both_transports = pytest.mark.parametrize("transport", ["stdio", "http"])
both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


def inspect(node: Node, target: Target, era: str, *method: str) -> Any:
    """Run the Inspector; with -q it prints nothing on stderr but errors and findings."""
    env = [f"{name}={value}" for name, value in target.get("env", {}).items()]
    ran = node(
        CLI, "--cli", target.get("url") or target["command"],
        *(word for pair in env for word in ("-e", pair)),
        "--protocol-era", era, "--method", *method, "--format", "json", "-q",
    )  # fmt: skip
    assert not ran.stderr, output(ran)
    return answer(ran)["result"]


@both_transports
@both_eras
def test_no_findings(
    node: Node,
    transport: str,
    era: str,
    environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    if transport == "http":
        target = {"url": request.getfixturevalue("alone")}
    else:
        target = {"command": COMMAND, "env": {**environment, "OLLAMA_HOST": NOWHERE}}
    listed = inspect(node, target, era, "tools/list", "--strict")
    assert "ollama_chat" in [tool["name"] for tool in listed["tools"]]


@pytest.mark.live
@both_transports
@both_eras
def test_calls(node: Node, target: Target, era: str, chat_model: str) -> None:
    def call(name: str) -> Any:
        tool, given = plan(chat_model)[name]
        method = ("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(given))
        return inspect(node, target, era, *method)

    check_list(call("list"), chat_model)
    check_chat(call("chat"))

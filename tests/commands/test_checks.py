"""What `doctor` judges of what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ollama_mcp_server.commands import _checks
from ollama_mcp_server.commands._checks import Check
from ollama_mcp_server.delegation.recommended import SMALL, fitting
from ollama_mcp_server.errors import DaemonUnreachable, ModelNotFound
from ollama_mcp_server.settings import Settings

CHATS = {"name": "a:1b", "capabilities": ["completion", "tools"]}
PLAIN = {"name": "p:1b", "capabilities": ["completion"]}
EMBEDS = {"name": "e:1b", "capabilities": ["embedding"]}


@pytest.mark.parametrize(
    ("program", "is_local", "runs", "status"),
    [
        ("/usr/bin/ollama", True, False, "ok"),
        (None, True, False, "fail"),
        (None, True, True, "ok"),
        (None, False, False, "ok"),
    ],
)
def test_ollama_must_be_installed_where_it_is_to_run(
    program: str | None, is_local: bool, runs: bool, status: str
) -> None:
    check = _checks.installed(program, "Install it", is_local=is_local, runs=runs)
    assert check.status == status
    assert bool(check.mend) == (status == "fail")


@pytest.mark.parametrize(
    ("version", "status"),
    [("0.34.0", "ok"), ("1.0.0-rc1", "ok"), ("0.0.0", "ok"), ("mine", "ok"), ("0.9.9", "warn")],
)
def test_an_old_daemon_is_doubtful(version: str, status: str) -> None:
    check = _checks.reached("http://127.0.0.1:11434", version)
    assert check.status == status
    assert version in check.found


def test_an_error_is_told_with_its_hint_in_words_for_people() -> None:
    error = ModelNotFound("there is no m", "Get it with ollama_pull (model: 'm')")
    assert _checks.broken("chat", error) == Check(
        "chat", "fail", "there is no m", "Get it with `ollama pull m`"
    )
    assert _checks.broken("daemon", DaemonUnreachable("away", "hint"), "mend").mend == "mend"


@pytest.mark.parametrize(
    ("rows", "status"),
    [([], "fail"), ([EMBEDS], "fail"), ([PLAIN, EMBEDS], "warn"), ([CHATS, EMBEDS], "ok")],
)
def test_a_model_must_chat_and_should_call_tools(rows: list[Any], status: str) -> None:
    check = _checks.models(rows, None)
    assert check.status == status
    assert (check.mend == f"ollama pull {SMALL.name}") == (status != "ok")
    assert all(row["name"] in check.found for row in rows)


def test_the_model_that_is_named_fits_this_computer() -> None:
    best = fitting(64 * 10**9)[0]
    check = _checks.models([PLAIN], 64 * 10**9)
    assert check.mend == f"ollama pull {best.name}" != f"ollama pull {SMALL.name}"
    assert f"a download of {best.download:g} GB that takes {best.memory:g} GB" in check.found


def test_a_long_list_of_models_is_cut() -> None:
    found = _checks.models([{**CHATS, "name": f"m{number}"} for number in range(9)], None).found
    assert "9 models" in found
    assert "and 4 more" in found
    assert "m7" not in found


def test_a_missing_model_comes_with_its_like() -> None:
    check = _checks.missing("a:2b", [CHATS])
    assert (check.status, check.mend) == ("fail", "ollama pull a:2b")
    assert "a:1b" in check.found


def test_an_answer_is_told_with_its_speed() -> None:
    final = {"model": "m", "eval_count": 10, "eval_duration": 2e9, "load_duration": 5e8}
    assert _checks.chat(final, "hello").status == "ok"
    assert "5.0 tokens/s" in _checks.chat(final, "hello").found
    assert _checks.chat(final, " ").status == "warn"
    assert _checks.chat({"model": "m"}, "").status == "warn"


@pytest.mark.parametrize(
    ("row", "status", "told"),
    [
        (None, "warn", "not known"),
        ({"name": "m", "size": 100, "size_vram": 0}, "warn", "CPU"),
        ({"name": "m", "size": 0, "size_vram": 0}, "warn", "CPU"),
        ({"name": "m", "size": 100, "size_vram": 40}, "warn", "40 %"),
        ({"name": "m", "size": 100, "size_vram": 100}, "ok", "on the GPU"),
    ],
)
def test_where_a_model_runs_is_told(row: Any, status: str, told: str) -> None:
    check = _checks.placement(row)
    assert (check.status, bool(check.mend)) == (status, status != "ok")
    assert told in check.found


@dataclass
class Definition:
    name: str = "git"
    source: str = "the file"


@dataclass
class Row:
    definition: Definition = field(default_factory=Definition)
    why: str = "it needs a path"
    tools: list[Any] | None = None
    error: str | None = None


def test_each_server_is_judged() -> None:
    rows: Any = [Row(), Row(tools=[1, 2]), Row(tools=[], error="it ended at once")]
    assert [check.status for check in _checks.servers(rows)] == ["ok", "ok", "fail"]
    assert "2 tools" in _checks.servers(rows)[1].found
    assert "the file" in _checks.servers(rows)[2].mend
    assert [check.status for check in _checks.servers([])] == ["ok"]


@pytest.mark.parametrize(
    ("transport", "holder", "status"),
    [
        ("stdio", "free", "ok"),
        ("http", "ours", "ok"),
        ("stdio", "other", "warn"),
        ("http", "other", "fail"),
    ],
)
def test_a_port_that_is_taken_matters_to_http(transport: str, holder: Any, status: str) -> None:
    check = _checks.port(Settings(transport=transport, port=8123), holder)
    assert check.status == status
    assert ("--port 8124" in check.mend) == (status != "ok")


def test_a_public_address_needs_a_token() -> None:
    assert _checks.token(Settings(), None, asks=False).status == "ok"
    assert _checks.token(Settings(), None, asks=True).status == "ok"
    refused = _checks.token(Settings(host="0.0.0.0"), "refusing", asks=False)
    assert refused.status == "fail"
    assert "OLLAMA_MCP_AUTH_TOKEN" in refused.mend


def test_the_worst_counts() -> None:
    ok, warn, fail = (Check("x", status, "") for status in ("ok", "warn", "fail"))
    assert _checks.worst([ok]) == "ok"
    assert _checks.worst([ok, warn]) == "warn"
    assert _checks.worst([warn, fail, ok]) == "fail"
    assert _checks.summary([ok, ok]) == "All is well."
    assert _checks.summary([ok, warn, fail]) == "3 checks: 1 failed, 1 to be looked at."

"""`ollama-mcp-server doctor`: what a model did with tools, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ollama_mcp_server.commands.doctor import show, tools_section
from tests.commands.conftest import Ran


@dataclass
class Outcome:
    probe: str
    passed: bool
    did: str


@dataclass
class Report:
    mode: Any = "native"
    model: str = "m:1b"
    outcomes: dict[Any, list[Outcome]] = field(
        default_factory=lambda: {
            "native": [Outcome("one call", True, "add(2, 3)"), Outcome("two", False, "only one")],
            "fallback": [Outcome("one call", True, "add(2, 3)"), Outcome("two", True, "both")],
        }
    )


def test_the_table_has_a_row_for_each_task_and_a_column_for_each_mode(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(tools_section(Report()))
    title, *rows, summary = capsys.readouterr().out.splitlines()
    assert title == "m:1b: calling tools"
    assert [row.split("\t") for row in rows] == [
        ["TASK", "NATIVE", "FALLBACK"],
        ["one call", "pass: add(2, 3)", "pass: add(2, 3)"],
        ["two", "FAIL: only one", "pass: both"],
    ]
    assert "native" in summary
    assert "1 of 2" in summary


def test_all_is_well_if_nothing_failed_in_the_mode_that_is_used() -> None:
    assert not tools_section(Report("native")).is_well
    assert tools_section(Report("fallback")).is_well


def test_a_mode_that_was_not_tried_has_no_column() -> None:
    report = Report("fallback")
    del report.outcomes["native"]
    assert tools_section(report).columns == ["TASK", "FALLBACK"]


def test_programs_read_the_same() -> None:
    data = json.loads(json.dumps(tools_section(Report()).data))
    assert data["mode"] == "native"
    assert data["probes"]["native"][1] == {"probe": "two", "passed": False, "did": "only one"}


def test_nothing_to_look_at_is_told(command: Callable[..., Ran]) -> None:
    ran = command("doctor")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--model" in ran.stderr

"""`ollama-mcp-server servers`: what is configured, what a path enables, and each server's tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import SECRET, Ran
from tests.commands.screens import screen_of
from tests.commands.terminal import Terminal

Command = Callable[..., Ran]


def rows(ran: Ran) -> dict[str, list[str]]:
    """Return the fields of each line by the first of them."""
    lines = [line.split("\t") for line in ran.stdout.splitlines() if line]
    return {fields[0]: fields[1:] for fields in lines}


def test_what_is_configured_and_what_a_path_enables(command: Command, home: Path) -> None:
    ran = command("servers", "--tools", "work")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = rows(ran)
    assert list(told) == ["SERVER", "keeper", "unused", "git", "far"]
    assert {name: fields[0] for name, fields in told.items()} == {
        "SERVER": "USED",
        "keeper": "yes",
        "unused": "no",
        "git": "no",
        "far": "no",
    }
    assert "never" in told["unused"][1]
    assert ".git does not exist" in told["git"][1]
    assert str(home / ".ollama/mcp-servers.json") in told["keeper"][3]


def test_a_repository_enables_git(command: Command, home: Path) -> None:
    (home / "work/.git").mkdir()
    assert rows(command("servers", "--tools", "work"))["git"][0] == "yes"


def test_without_a_path_the_reason_is_the_path(command: Command) -> None:
    told = rows(command("servers"))
    assert told["keeper"][0] == "no"
    assert "needs a path" in told["keeper"][1]


def test_nothing_that_may_be_secret_is_shown(command: Command) -> None:
    for flags in ([], ["--json"]):
        ran = command("servers", *flags)
        assert "far" in ran.stdout
        assert "http://127.0.0.1:9/mcp" in ran.stdout
        assert SECRET not in ran.stdout + ran.stderr


def test_servers_are_started_side_by_side_and_their_tools_listed(command: Command) -> None:
    ran = command("servers", "--tools", "work", "--connect", "--json")
    assert ran.returncode == 0
    told = {server["name"]: server for server in json.loads(ran.stdout)["servers"]}
    assert [tool["name"] for tool in told["keeper"]["tools"]] == ["look", "remove", "wait"]
    assert "tools" not in told["unused"], "it is not used, and was not started"


def test_one_that_cannot_be_used_is_told_with_its_reason(command: Command) -> None:
    ran = command("servers", "--connect")
    assert ran.returncode == 1
    lines = [line.split("\t") for line in ran.stdout.splitlines()]
    assert ["keeper", "look", "Read the file."] in lines
    (down,) = [line for line in lines if line[:2] == ["far", "(down)"]]
    assert down[2]
    assert SECRET not in ran.stdout + ran.stderr


def test_a_broken_file_is_told_with_its_place(command: Command, home: Path) -> None:
    file = home / ".ollama/mcp-servers.json"
    file.write_text('{"servers": [\n{"name": }]}')
    ran = command("servers")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert str(file) in ran.stderr
    assert "2:" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_none_is_told_with_what_to_do(command: Command, home: Path) -> None:
    (home / ".ollama/mcp-servers.json").unlink()
    ran = command("servers")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "mcp-servers.json" in ran.stderr
    assert json.loads(command("servers", "--json").stdout) == {"path": None, "servers": []}


def test_servers_that_are_switched_off_are_not_shown(command: Command) -> None:
    ran = command("servers", OLLAMA_MCP_DISABLE="1")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "OLLAMA_MCP_DISABLE" in ran.stderr


@pytest.mark.parametrize("path", ["nowhere", "work/file.txt"])
def test_a_path_that_is_no_folder_is_told(path: str, command: Command) -> None:
    ran = command("servers", "--tools", path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "is no folder" in ran.stderr


def test_at_a_terminal_it_is_a_table(home: Path) -> None:
    with Terminal(home, "servers", "--tools", "work") as terminal:
        assert terminal.wait() == 0
        assert "\t" not in terminal.text
        lines = [line.split() for line in screen_of(terminal.raw)]
    assert lines[0] == ["SERVER", "USED", "WHY", "RUNS", "FROM"]
    assert lines[1][:2] == ["keeper", "yes"]

"""`ollama-mcp-server doctor`: what works, what a model did with tools, what is mended."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.commands.doctor import show, tools_section
from ollama_mcp_server.delegation.recommended import SMALL
from scripts.testbed.processes import free_port
from tests.commands.conftest import SECRET, Ran
from tests.commands.terminal import Terminal
from tests.fake_ollama import FakeOllama, Model
from tests.fake_ollama.models import key_of
from tests.wire import ROOT

Command = Callable[..., Ran]
#: A server of the standard library alone, which starts at once.
MINIMAL = Path(__file__).parent.parent / "servers/minimal.py"


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


@pytest.fixture
def doctor(command: Command) -> Command:
    """Run `doctor` where no MCP server and no other program gets in its way."""

    def run(*arguments: str, **variables: str) -> Ran:
        alone = {"OLLAMA_MCP_DISABLE": "1", "OLLAMA_MCP_PORT": str(free_port())}
        return command("doctor", *arguments, **{**alone, **variables})

    return run


def checks(ran: Ran) -> dict[str, dict[str, str]]:
    """Return the checks by name."""
    return {check["name"]: check for check in json.loads(ran.stdout)["checks"]}


def test_all_is_looked_at(doctor: Command, daemon: FakeOllama) -> None:
    ran = doctor()
    title, columns, *rows, _ = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "ollama-mcp-server" in title
    assert columns.split("\t")[1:] == ["WHAT", "FOUND", "TO MEND IT"]
    told = {row.split("\t")[1]: row.split("\t")[0] for row in rows}
    looked_at = ["ollama", "daemon", "models", "chat", "gpu", "servers", "port", "token", "clients"]
    assert list(told) == looked_at
    assert told["daemon"] == told["models"] == told["chat"] == "ok"
    assert daemon.url in ran.stdout
    assert any(request.path == "/api/chat" for request in daemon.requests)


def test_programs_read_the_checks(doctor: Command) -> None:
    found = checks(doctor("--json"))
    assert set(found["daemon"]) == {"name", "status", "found", "mend"}


def test_servers_that_are_down_are_told(doctor: Command) -> None:
    far = {"url": f"http://127.0.0.1:9/mcp?key={SECRET}", "headers": {"Authorization": SECRET}}
    near = {"command": sys.executable, "args": [str(MINIMAL)]}
    servers = json.dumps({"mcpServers": {"far": far, "near": near}})
    ran = doctor("--json", OLLAMA_MCP_DISABLE="", OLLAMA_MCP_SERVERS=servers)
    found = checks(ran)
    assert ran.returncode == 1
    assert found["server near"]["status"] == "ok"
    assert found["server far"]["status"] == "fail"
    assert SECRET not in ran.stdout + ran.stderr


def test_without_a_daemon_it_says_what_to_do(doctor: Command) -> None:
    ran = doctor("--json", "--model", "m", "--ollama-host", f"127.0.0.1:{free_port()}")
    found = checks(ran)
    assert ran.returncode == 1
    assert "nothing answers" in found["daemon"]["found"]
    assert "ollama" in found["daemon"]["mend"]
    assert "chat" not in found
    assert found["token"]["status"] == "ok"


def test_a_model_that_is_missing_is_told(doctor: Command) -> None:
    ran = doctor("--json", "--model", "llama3.2:7b")
    assert ran.returncode == 1
    assert checks(ran)["chat"]["mend"] == "ollama pull llama3.2:7b"
    assert list(json.loads(ran.stdout)) == ["checks"]


def test_a_port_that_another_program_holds_is_told(doctor: Command, daemon: FakeOllama) -> None:
    ran = doctor("--json", OLLAMA_MCP_PORT=daemon.url.rpartition(":")[2])
    assert ran.returncode == 0
    assert checks(ran)["port"]["status"] == "warn"


def test_a_public_address_without_a_token_is_told(doctor: Command) -> None:
    ran = doctor("--json", OLLAMA_MCP_HOST="0.0.0.0")
    assert ran.returncode == 1
    assert "OLLAMA_MCP_AUTH_TOKEN" in checks(ran)["token"]["mend"]


def test_fix_asks_first(command: Command) -> None:
    ran = command("doctor", "--fix")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--yes" in ran.stderr


def without_a_model(daemon: FakeOllama) -> None:
    """Leave the daemon without models, and the registry with one."""
    daemon.library.models.clear()
    daemon.library.registry[key_of(SMALL.name)] = Model(SMALL.name, "qwen3", 1.7, 32768, 2048)


def test_fix_pulls_a_small_model_where_none_chats(doctor: Command, daemon: FakeOllama) -> None:
    without_a_model(daemon)
    ran = doctor("--fix", "--yes", "--json")
    assert "pulling manifest\n" in ran.stderr, "a line for each phase, where no terminal is"
    assert "\x1b" not in ran.stderr
    assert f"{SMALL.name} is installed" in ran.stderr
    assert checks(ran)["chat"]["status"] == "ok"
    assert ran.returncode == 0


@pytest.mark.parametrize("no_color", ["", "1"])
def test_fix_shows_a_bar_at_a_terminal(home: Path, daemon: FakeOllama, no_color: str) -> None:
    without_a_model(daemon)
    told = {"OLLAMA_HOST": daemon.url, "OLLAMA_MCP_DISABLE": "1", "NO_COLOR": no_color}
    with Terminal(home, "doctor", "--fix", **told) as terminal:
        terminal.until(f"Pull {SMALL.name} ({SMALL.download:g} GB)? [y/N] ")
        terminal.type("y\n")
        bar = terminal.until(f"{SMALL.name} is installed")
        assert "━" in bar
        assert ("\x1b[38;" in terminal.raw or "\x1b[3" in terminal.raw) is not bool(no_color)
        terminal.wait()


def test_fix_asks_at_a_terminal_and_heeds_a_no(home: Path, daemon: FakeOllama) -> None:
    daemon.library.models.clear()
    told = {"OLLAMA_HOST": daemon.url, "OLLAMA_MCP_DISABLE": "1"}
    with Terminal(home, "doctor", "--fix", **told) as terminal:
        terminal.until("[y/N]")
        terminal.type("n\n")
        assert terminal.wait() == 1
    assert not any(request.path == "/api/pull" for request in daemon.requests)


def test_the_clients_of_this_computer_are_looked_at(
    doctor: Command, home: Path, daemon: FakeOllama
) -> None:
    started = {"command": sys.executable, "args": ["-m", "ollama_mcp_server"]}
    broken = {"command": "/nowhere/ollama-mcp-server", "env": {"OLLAMA_API_KEY": SECRET}}
    far = {"url": f"{daemon.url}/mcp?key={SECRET}", "headers": {"Authorization": SECRET}}
    off = {**broken, "disabled": True}
    for name, entry in (
        (".cursor/mcp.json", {**started, "env": {"PYTHONPATH": str(ROOT)}}),
        (".gemini/settings.json", broken),
        (".lmstudio/mcp.json", far),
        (".codeium/windsurf/mcp_config.json", off),
    ):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text(json.dumps({"mcpServers": {"ollama": entry}}))
    (home / ".claude.json").write_text("{")
    (home / ".config/zed").mkdir(parents=True)
    (home / ".config/zed/settings.json").write_text("{}")
    before = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}

    ran = doctor("--json")
    found = {name.removeprefix("client "): check for name, check in checks(ran).items()}
    assert ran.returncode == 1
    assert found["cursor"]["status"] == "ok"
    assert "tools in" in found["cursor"]["found"]
    assert found["gemini"]["status"] == "fail"
    assert "there is no program /nowhere/ollama-mcp-server" in found["gemini"]["found"]
    assert found["gemini"]["mend"] == "ollama-mcp-server install gemini"
    assert found["lm-studio"]["status"] == "fail"
    assert (
        f"{daemon.url}/mcp, does not answer: it answered with HTTP" in found["lm-studio"]["found"]
    )
    assert "switched off" in found["windsurf"]["found"]
    assert found["claude-code"]["status"] == "warn"
    assert ".claude.json:" in found["claude-code"]["found"]
    assert found["zed"]["status"] == "ok", "it is in another"
    assert found["zed"]["mend"] == "ollama-mcp-server install zed"
    assert not {"codex", "vscode", "goose"} & set(found), "they are not here"
    assert SECRET not in ran.stdout + ran.stderr
    after = {file: file.read_bytes() for file in before}
    assert before == after
    assert not list(home.rglob("*.bak"))

"""`install` and `uninstall`: the change is shown, asked about, made, and tried."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ollama_mcp_server import cli
from ollama_mcp_server.commands._change import make
from ollama_mcp_server.commands.install import left_out, variables
from ollama_mcp_server.errors import Conflict, InvalidArgument
from tests.commands.terminal import Terminal, environment
from tests.wire import COMMAND, PATIENCE

Capture = pytest.CaptureFixture[str]
OTHERS = '{\n  // mine\n  "mcpServers": {\n    "fs": {"command": "npx"},\n  },\n}\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, also of this process, which is in a folder of it."""
    made = tmp_path / "home"
    (made / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(made / "work")
    return made


def test_there_and_back_again(home: Path, capsys: Capture) -> None:
    file = home / ".cursor/mcp.json"
    file.parent.mkdir()
    file.write_text(OTHERS)
    ran = subprocess.run(
        [*COMMAND, "install", "cursor", "--yes", "--env", "OLLAMA_HOST=127.0.0.1:9"],
        cwd=home / "work", env=environment(home), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert f"+++ {file}\n" in ran.stdout
    assert '+    "ollama": {\n' in ran.stdout
    assert re.search(r"it answered: [1-9]\d* tools in \d+ ms\n", ran.stderr)
    told = json.loads(re.sub("//.*|,(?=\\s*})", "", file.read_text()))
    assert told["mcpServers"]["ollama"] == {
        "command": sys.executable,
        "args": ["-m", "ollama_mcp_server"],
        "env": {"OLLAMA_HOST": "127.0.0.1:9"},
    }
    [backup] = file.parent.glob("*.bak")
    assert backup.read_text() == OTHERS

    assert cli.run_command("install", ["cursor", "--json"]) == 0  # nothing is to be asked
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["changed"], told["answered"]) == (False, True)
    assert told["command"] == [sys.executable, "-m", "ollama_mcp_server"]
    assert "has this server already, as 'ollama'" in err

    assert cli.run_command("uninstall", ["cursor", "--yes", "--json"]) == 0
    assert file.read_text() == OTHERS
    kept = Path(json.loads(capsys.readouterr().out)["backup"])
    assert '"ollama"' in kept.read_text()


def test_a_server_that_does_not_answer_is_told(home: Path, capsys: Capture) -> None:
    words = ["codex", "--yes", "--env", "OLLAMA_MCP_TIMEOUT=soon", "--json"]
    assert cli.run_command("install", words) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["answered"] is False
    assert "OLLAMA_MCP_TIMEOUT" in told["error"]  # as the server itself said


def test_the_change_is_asked_about(home: Path) -> None:
    file = home / ".config/goose/config.yaml"
    with Terminal(home, "install", "goose", NO_COLOR="1") as terminal:
        shown = terminal.until("Make this change? [y/N] ")
        assert "+  ollama:" in shown
        terminal.type("\n")
        terminal.until("nothing was changed")
        assert terminal.wait() == 1
    assert not file.exists()
    with Terminal(home, "install", "goose") as terminal:
        terminal.until("[y/N] ")
        assert "\x1b[32m+  ollama:" in terminal.raw
        terminal.type("y\n")
        terminal.until("it answered", 2 * PATIENCE)
        assert terminal.wait() == 0
    assert file.read_text().startswith("extensions:\n  ollama:\n")


def test_where_nobody_can_be_asked_nothing_is_changed(home: Path, capsys: Capture) -> None:
    assert cli.run_command("install", ["claude-code"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert not (home / ".claude.json").exists()


def test_print_only_shows(home: Path, capsys: Capture) -> None:
    assert cli.run_command("install", ["vscode", "--print", "--name", "local"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("--- /dev/null\n")
    assert f"+++ {home}/.config/Code/User/mcp.json\n" in out
    assert '+    "local": {\n' in out
    assert "VS Code does not seem to be on this computer" in err
    assert cli.run_command("install", ["vscode", "--print", "--scope", "project"]) == 0
    assert f"+++ {home}/work/.vscode/mcp.json\n" in capsys.readouterr().out
    file = home / ".gemini/settings.json"
    file.parent.mkdir()
    file.write_text('{"mcpServers": {"ollama": {"command": "x"}}}')
    assert cli.run_command("uninstall", ["gemini", "--print"]) == 0
    assert "+{}\n" in capsys.readouterr().out
    assert [file] == [path for path in home.rglob("*") if path.is_file()]


def test_without_a_client_they_are_listed(home: Path, capsys: Capture) -> None:
    (home / ".codex").mkdir()
    (home / ".codex/config.toml").write_text('[mcp_servers.o]\ncommand = "ollama-mcp-server"\n')
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").write_text("{")
    (home / ".lmstudio").mkdir()
    assert cli.run_command("install", ["--json"]) == 0
    rows = {row["client"]: row for row in json.loads(capsys.readouterr().out)["clients"]}
    assert rows["codex"]["installed"] == ["o"]
    assert "mcp.json:1:2: not JSON" in rows["cursor"]["error"]
    assert [name for name, row in rows.items() if row["found"]] == ["cursor", "codex", "lm-studio"]
    assert cli.run_command("install", []) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == ["CLIENT", "FOUND", "INSTALLED AS", "FILE"]
    assert f"codex\tyes\to\t{home}/.codex/config.toml" in lines
    assert f"zed\tno\t-\t{home}/.config/zed/settings.json" in lines


def test_open_webui_is_told_in_words(capsys: Capture) -> None:
    assert cli.run_command("install", ["open-webui"]) == 0
    assert "http://127.0.0.1:8000/tools/ollama" in capsys.readouterr().out
    assert cli.run_command("uninstall", ["open-webui"]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["install", "windsurf", "--scope", "project"], "Windsurf has no file in projects"),
        (["install", "zed", "--name", "a b"], "a server's name has letters"),
        (["install", "zed", "--env", "A-B=1"], "--env 'A-B' names no variable"),
        (["uninstall", "zed"], "Zed has no server 'ollama' in "),
    ],
)
def test_what_cannot_be_done_is_told(
    words: list[str], told: str, home: Path, capsys: Capture
) -> None:
    assert cli.run_command(words[0], words[1:]) == 1
    assert told in capsys.readouterr().err
    assert not [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["install", "uninstall"])
def test_a_broken_file_stays_as_it_is(name: str, home: Path, capsys: Capture) -> None:
    file = home / ".codex/config.toml"
    file.parent.mkdir()
    file.write_text("a = 1\nb = \n")
    assert cli.run_command(name, ["codex", "--yes"]) == 1
    assert f"{file}:2:5: not TOML" in capsys.readouterr().err
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_another_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("theirs")
    with pytest.raises(Conflict, match="changed meanwhile"):
        make(file, "as it was", "ours")
    assert file.read_text() == "theirs"


def test_a_variable_is_given_or_taken_from_here() -> None:
    here = {"OLLAMA_HOST": "h:1", "OLLAMA_MCP_MODEL": "m", "PATH": "/bin"}
    assert variables(["OLLAMA_HOST", "A=b=c", "E="], here) == {
        "OLLAMA_HOST": "h:1",
        "A": "b=c",
        "E": "",
    }
    with pytest.raises(InvalidArgument, match="it has no value here"):
        variables(["OLLAMA_API_KEY"], here)
    assert left_out(here, {"OLLAMA_HOST": "x"}, ["/x/ollama-mcp-server"]) == ["OLLAMA_MCP_MODEL"]
    behind = {"HTTPS_PROXY": "http://proxy", "UV_INDEX": "http://index"}
    assert left_out(behind, {}, ["/x/ollama-mcp-server"]) == []
    assert left_out(behind, {}, ["/x/bin/uvx", "ollama-mcp-server"]) == ["HTTPS_PROXY", "UV_INDEX"]

"""The command: settings and where they come from, wrong ones, start, and a user's own tools."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from ollama_mcp_server import __version__, cli, commands, tools
from ollama_mcp_server.app import App
from ollama_mcp_server.discovery import discover
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings, config_file, is_secret, variable
from tests.fake_ollama import FakeOllama
from tests.wire import COMMAND, Stdio

SECRET = "hunter2-and-more"

Write = Callable[[str], None]


@pytest.fixture
def write_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Write the settings file."""

    def write(text: str) -> None:
        config_file().parent.mkdir(parents=True, exist_ok=True)
        config_file().write_text(text)

    return write


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Read settings that are wrong; returns the one line that is said of them."""

    def read(*flags: str) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.read_settings(flags)
        out, err = capsys.readouterr()
        assert ended.value.code == 2
        assert out == ""
        assert err.count("\n") == 1, err
        assert err.startswith("ollama-mcp-server: ")
        assert "Traceback" not in err
        return err

    return read


# --- where settings come from ---------------------------------------------------------------------

SOURCES = [
    # field, flag, variable, and four values: file, environment, flag, default
    ("port", "--port", "OLLAMA_MCP_PORT", 1111, 2222, 3333, 8000),
    ("log_level", "--log-level", "OLLAMA_MCP_LOG_LEVEL", "info", "error", "debug", "warning"),
    ("ollama_host", "--ollama-host", "OLLAMA_HOST", "a:1", "b:2", "c:3", "127.0.0.1:11434"),
    (
        "cloud_url",
        "--cloud-url",
        "OLLAMA_CLOUD_BASE_URL",
        "https://a.example",
        "https://b.example",
        "https://c.example",
        "https://ollama.com",
    ),
]


@pytest.mark.parametrize("source", SOURCES, ids=[source[0] for source in SOURCES])
def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(
    source: tuple[Any, ...], write_config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    field, flag, name, in_file, in_environment, as_flag, default = source

    def now(*flags: str) -> Any:
        return getattr(cli.read_settings(flags), field)

    assert now() == default
    assert now(flag, str(as_flag)) == as_flag
    write_config(f"{field} = {in_file!r}")
    assert now() == in_file
    assert now(flag, str(as_flag)) == as_flag
    monkeypatch.setenv(name, str(in_environment))
    assert now() == in_environment
    assert now(flag, str(as_flag)) == as_flag


def test_a_switch_can_be_turned_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MCP_READ_ONLY", "true")
    assert cli.read_settings([]).read_only
    assert not cli.read_settings(["--no-read-only"]).read_only


def test_lists_and_tables_are_written_as_each_place_writes_them(
    write_config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(f'toolsets = ["chat", "web"]\n[headers]\nX-Key = "{SECRET}"')
    assert cli.read_settings([]).toolsets == ("chat", "web")
    assert cli.read_settings([]).headers["X-Key"].get_secret_value() == SECRET
    monkeypatch.setenv("OLLAMA_MCP_HEADERS", '{"X-Other": "value"}')
    assert "X-Other" in cli.read_settings([]).headers
    assert cli.read_settings(["--toolsets", " models, ollama_copy ,"]).toolsets == (
        "models",
        "ollama_copy",
    )


def test_aliases_and_profiles(write_config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(
        '[aliases]\nfast = "qwen3:1.7b"\n'
        '[profiles.reviewer]\nmodel = "fast"\nsystem = "Review."\noptions = {num_ctx = 512}'
    )
    settings = cli.read_settings([])
    assert settings.aliases == {"fast": "qwen3:1.7b"}
    assert settings.profiles["reviewer"].options == {"num_ctx": 512}
    monkeypatch.setenv("OLLAMA_MCP_ALIASES", " code = a:1 , vision=b:2,")
    assert cli.read_settings([]).aliases == {"code": "a:1", "vision": "b:2"}
    assert cli.read_settings(["--aliases", '{"code": "c"}']).aliases == {"code": "c"}


def test_roots_are_separated_as_paths_and_repeated_as_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    monkeypatch.setenv("OLLAMA_MCP_ROOTS", f"{one}{os.pathsep}~")
    monkeypatch.setenv("HOME", str(two))
    assert cli.read_settings([]).roots == (one, two)
    assert cli.read_settings(["--root", str(two), "--root", str(one)]).roots == (two, one)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.setenv(variable(field), "")
    assert cli.read_settings([]) == Settings()


def test_a_dotenv_file_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OLLAMA_MCP_PORT=1\nOLLAMA_HOST=evil.example\n")
    monkeypatch.chdir(tmp_path)
    assert cli.read_settings([]) == Settings()


# --- wrong settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OLLAMA_MCP_PORT", "many"),
        ("OLLAMA_MCP_PORT", "70000"),
        ("OLLAMA_MCP_TRANSPORT", "sse"),
        ("OLLAMA_MCP_LOG_LEVEL", "loud"),
        ("OLLAMA_MCP_PATH", "no slash"),
        ("OLLAMA_MCP_READ_ONLY", "perhaps"),
        ("OLLAMA_MCP_SHUTDOWN_SECONDS", "-1"),
        ("OLLAMA_HOST", "ftp://127.0.0.1"),
        ("OLLAMA_HOST", "127.0.0.1:99999"),
        ("OLLAMA_HOST", "two words"),
        ("OLLAMA_CLOUD_BASE_URL", "ftp://ollama.com"),
        ("OLLAMA_MCP_PROXY", "nonsense"),
        ("OLLAMA_MCP_CA_FILE", "/nonexistent/ca.pem"),
        ("OLLAMA_MCP_ROOTS", "/nonexistent"),
        ("OLLAMA_MCP_ALIASES", "fast"),
        ("OLLAMA_MCP_ALIASES", '{"fast": 1}'),
        ("OLLAMA_MCP_PROFILES", '{"reviewer": {"temperature": 0}}'),
        ("OLLAMA_MCP_PROFILES", "reviewer"),
        ("OLLAMA_MCP_MAX_CONTEXT", "0"),
        ("OLLAMA_MCP_WAIT", "0"),
        ("OLLAMA_MCP_STATE_URL", "postgres://host"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_that_names_its_variable(
    name: str, value: str, complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    told = complaint()
    assert name in told
    assert "pydantic" not in told


def test_an_unknown_toolset_ends_with_the_names_of_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.serve(Settings(toolsets="chatt,models,ollama_push"))
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "chatt" in told
    assert "ollama_push" not in told
    assert "publish" in told


def test_a_wrong_flag_value_is_told_too(complaint: Callable[..., str]) -> None:
    assert "must be a whole number" in complaint("--port", "many")
    assert "stdio" in complaint("--transport", "sse")


def test_several_faults_are_told_together(complaint: Callable[..., str]) -> None:
    told = complaint("--port", "many", "--log-level", "loud")
    assert "PORT" in told
    assert "LOG_LEVEL" in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OLLAMA_MCP_HEADERS", f"X-Key: {SECRET}"),
        ("OLLAMA_MCP_HEADERS", f'["{SECRET}"]'),
        ("OLLAMA_MCP_HEADERS", f'{{"X-Key": ["{SECRET}"]}}'),
        ("OLLAMA_HOST", f"http://me:{SECRET}@127.0.0.1:99999"),
        ("OLLAMA_HOST", f"ftp://me:{SECRET}@127.0.0.1"),
        ("OLLAMA_MCP_AUTH_TOKEN", SECRET[:8]),
        ("OLLAMA_MCP_STATE_URL", f"mysql://:{SECRET}@127.0.0.1"),
    ],
)
def test_a_wrong_secret_is_not_repeated(
    name: str, value: str, complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    told = complaint()
    assert name in told
    assert SECRET[:8] not in told


def test_an_unknown_key_in_the_file_is_told(
    write_config: Write, complaint: Callable[..., str]
) -> None:
    write_config("prot = 9000")
    told = complaint()
    assert "prot" in told
    assert "no such setting" in told


@pytest.mark.parametrize("text", ["port = ", "port = 1\nport = 2", "[headers"])
def test_a_broken_file_is_told_with_its_name_and_the_place(
    text: str, write_config: Write, complaint: Callable[..., str]
) -> None:
    write_config(text)
    told = complaint()
    assert str(config_file()) in told
    assert "line" in told or "end of document" in told


@pytest.mark.parametrize("flag", ["--api-key", "--auth-token", "--headers", "--prot"])
def test_a_secret_is_no_flag_and_an_unknown_flag_is_named(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.read_settings([flag, "x"])
    assert ended.value.code == 2
    assert flag in capsys.readouterr().err.splitlines()[-1]


def test_help_tells_every_setting_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.read_settings(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for field in Settings.model_fields:
        assert variable(field) in told, field
        flag = "--root" if field == "roots" else f"--{field.replace('_', '-')}"
        assert bool(re.search(rf"{flag}[ ,]", told)) != is_secret(field), field
    assert "config.toml" in told


def test_the_version_is_told_without_loading_the_server() -> None:
    ran = subprocess.run(
        [COMMAND[0], "-X", "importtime", *COMMAND[1:], "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == f"ollama-mcp-server {__version__}\n"
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "ollama_mcp_server.cli" in imported
    assert not imported & {"fastmcp", "ollama", "httpx"}


# --- other commands than serving ------------------------------------------------------------------


def test_each_command_is_a_module_and_the_help_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(commands.__file__).parent
    modules = {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
    assert set(cli.COMMANDS) == modules
    with pytest.raises(SystemExit):
        cli.read_settings(["--help"])
    told = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"  {name} " in told


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_has_help_and_takes_flags_for_settings_but_no_secrets(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run_command(name, ["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"usage: ollama-mcp-server {name}" in told
    assert "--log-level" in told
    module = import_module(f"ollama_mcp_server.commands.{name}")
    assert not any(is_secret(setting) for setting in module.SETTINGS)


def test_the_help_of_a_command_loads_no_server() -> None:
    ran = subprocess.run(
        [COMMAND[0], "-X", "importtime", *COMMAND[1:], "run", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "ollama_mcp_server.settings" in imported
    assert "usage: ollama-mcp-server run" in ran.stdout
    assert not imported & {"fastmcp", "ollama", "httpx", "rich"}


# --- the start ------------------------------------------------------------------------------------

HOSTILE = """
FASTMCP_LOG_LEVEL=DEBUG
FASTMCP_TRANSPORT=http
FASTMCP_PORT=9
FASTMCP_HOST=0.0.0.0
FASTMCP_MASK_ERROR_DETAILS=false
FASTMCP_STRICT_INPUT_VALIDATION=true
FASTMCP_CHECK_FOR_UPDATES=stable
FASTMCP_NONSENSE=1
OLLAMA_MCP_TRANSPORT=http
OLLAMA_MCP_TOOLSETS=chat
OLLAMA_API_KEY=stolen
OLLAMA_HOST={host}
"""
#: Python runs it at its start: from then on each connection and each look-up is told on stderr.
WATCH = """
import sys
def watch(event, arguments):
    if event == "socket.bind" and arguments[1][1] == 0:
        return  # a library looks whether there is IPv6
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        print("NETWORK", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(watch)
"""


def test_a_hostile_dotenv_changes_nothing_and_the_start_uses_no_network(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(HOSTILE.format(host=daemon.url))
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    root = str(Path(__file__).parent.parent)
    with Stdio(tmp_path, PYTHONPATH=f"{tmp_path / 'watch'}:{root}") as server:
        names = [tool["name"] for tool in server.result("tools/list")["tools"]]
        assert "ollama_list" in names
        assert "ollama_web_search" not in names
        assert "NETWORK" not in server.stderr
        server.call("ollama_list")
        server.err.wait(lambda line: "('127.0.0.1', 11434)" in line)
        assert "internal" not in str(server.call("ollama_list", limit="5"))
        server.end()
        assert "DEBUG" not in server.stderr
    assert daemon.requests == []


# --- tools of one's own ---------------------------------------------------------------------------

TOOL = """
from fastmcp.tools import tool

@tool
def {name}(text: str) -> dict[str, str]:
    "Say it louder."
    return {{"said": text.upper(), "by": __name__}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for tool modules."""
    made = tmp_path / "tools"
    made.mkdir()
    return made


def found(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names that a folder adds to the built-in tools, and the complaints."""
    complaints: list[str] = []
    names = [component.name for component in discover(tools, folder, complaints.append)]
    own = [component.name for component in discover(tools, None, complaints.append)]
    assert names[: len(own)] == own, "the built-in come first, in the same order each time"
    return names[len(own) :], complaints


async def test_a_module_dropped_into_the_folder_adds_its_tool(folder: Path) -> None:
    (folder / "loud.py").write_text(TOOL.format(name="shout"))
    app = App(Settings(tools_dir=folder))
    async with Client(build_server(app)) as client:
        assert "shout" in [tool.name for tool in await client.list_tools()]
        result = await client.call_tool("shout", {"text": "hello"})
        assert result.structured_content["said"] == "HELLO"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def broken(:", "SyntaxError"),
        ("import a_module_that_nobody_has", "a_module_that_nobody_has"),
        ("raise RuntimeError('on a whim')", "on a whim"),
        ("import sys; sys.exit('on a whim')", "on a whim"),
        ("from fastmcp.tools import tool\n@tool\ndef f(*args): ...", "args"),
    ],
)
def test_a_module_that_fails_is_named_and_takes_no_other_down(
    text: str, why: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a_bad.py").write_text(text)
    (folder / "good.py").write_text(TOOL.format(name="shout"))
    names, complaints = found(folder)
    assert names == ["shout"]
    assert len(complaints) == 1
    assert "a_bad.py" in complaints[0]
    assert why in complaints[0]
    build_server(App(Settings(tools_dir=folder)))
    assert complaints[0] in caplog.text


def test_a_taken_name_is_complained_of_and_the_first_keeps_it(folder: Path) -> None:
    (folder / "b_two.py").write_text(TOOL.format(name="shout"))
    (folder / "a_one.py").write_text(TOOL.format(name="shout") + TOOL.format(name="ollama_chat"))
    complaints: list[str] = []
    components = list(discover(tools, folder, complaints.append))
    origin = {component.name: component.fn.__module__ for component in components}
    assert origin["ollama_chat"] == "ollama_mcp_server.tools.chat"
    assert origin["shout"].endswith("a_one")
    assert len(components) == len(origin)
    assert ["ollama_chat" in complaints[0], "shout" in complaints[1]] == [True, True]
    assert "a_one" in complaints[1]
    assert "b_two" in complaints[1]


def test_the_order_is_by_file_and_line(folder: Path) -> None:
    for name in ("c", "a", "b"):
        (folder / f"{name}.py").write_text(
            TOOL.format(name=f"{name}_z") + TOOL.format(name=f"{name}_a")
        )
    wanted = ["a_z", "a_a", "b_z", "b_a", "c_z", "c_a"]
    assert found(folder) == (wanted, [])
    assert found(folder) == (wanted, [])


def test_private_modules_and_imported_tools_are_left_alone(folder: Path) -> None:
    (folder / "_private.py").write_text("raise RuntimeError")
    (folder / "notes.txt").write_text("no Python")
    (folder / "borrows.py").write_text("from ollama_mcp_server.tools.chat import ollama_chat")
    assert found(folder) == ([], [])


def test_a_folder_that_is_not_there_is_complained_of(tmp_path: Path) -> None:
    names, complaints = found(tmp_path / "nowhere")
    assert names == []
    assert "OLLAMA_MCP_TOOLS_DIR" in complaints[0]
    assert "nowhere" in complaints[0]

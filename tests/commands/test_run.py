"""`ollama-mcp-server run`: as a child process, with a scripted daemon and real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.commands._task import read_format
from ollama_mcp_server.errors import InvalidArgument
from tests.commands.conftest import Ran
from tests.commands.terminal import CTRL_D, Terminal, environment
from tests.conftest import CHAT, PICTURES
from tests.fake_ollama import FakeOllama
from tests.live.sessions import picture
from tests.wire import COMMAND, PATIENCE

Command = Callable[..., Ran]
SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


def chats(daemon: FakeOllama) -> list[dict[str, Any]]:
    """Return the bodies of the requests for an answer."""
    return [request.body for request in daemon.requests if request.path == "/api/chat"]


def line(content: str = "", **message: Any) -> dict[str, Any]:
    """Return a part of an answer."""
    said = {"role": "assistant", "content": content, **message}
    return {"model": CHAT, "message": said, "done": False}


END = {**line(), "done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2}


def calling(name: str, **arguments: Any) -> dict[str, Any]:
    """Return the part of an answer that calls a tool."""
    return line(tool_calls=[{"id": "c1", "function": {"name": name, "arguments": arguments}}])


# --- what is asked, and what is answered ----------------------------------------------------------


def test_the_answer_alone_is_on_stdout(command: Command, daemon: FakeOllama) -> None:
    ran = command("run", CHAT, "Hello", "there", "--system", "Be brief.")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "You said: Hello there\n", "")
    (body,) = chats(daemon)
    assert body["model"] == CHAT
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert "tools" not in body


def test_what_is_piped_in_stands_before_the_prompt(command: Command, daemon: FakeOllama) -> None:
    ran = command("run", CHAT, "summarise", piped="the text")
    assert ran.stdout == "You said: the text summarise\n"
    assert command("run", CHAT, piped="the text").stdout == "You said: the text\n"


def test_what_is_piped_in_need_not_be_utf_8(home: Path, daemon: FakeOllama) -> None:
    ran = subprocess.run(
        [*COMMAND, "run", CHAT],
        env=environment(home, OLLAMA_HOST=daemon.url),
        input="Münster".encode("latin-1"),
        capture_output=True,
        timeout=PATIENCE,
    )
    assert ran.stdout.decode() == "You said: M\ufffdnster\n"


def test_options_may_stand_anywhere(command: Command) -> None:
    for arguments in (["--verbose", CHAT, "Hello"], [CHAT, "--verbose", "Hello"]):
        ran = command("run", *arguments)
        assert ran.stdout == "You said: Hello\n"
        assert "1 round" in ran.stderr


def test_json_is_one_object_with_everything(command: Command, home: Path) -> None:
    ran = command("run", CHAT, "Use keeper__look", "--tools", "work", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["answer"].startswith("The tool answered")
    (step,) = told["steps"]
    assert (step["server"], step["tool"], step["arguments"]) == ("keeper", "look", {})
    assert "a kestrel" in step["result"]
    assert told["rounds"] == 2
    assert told["usage"]["prompt_tokens"] > 0
    assert (told["stop_reason"], told["data"], told["model"]) == ("answered", None, CHAT)


@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_format_makes_the_answer_json(in_a_file: bool, command: Command, home: Path) -> None:
    (home / "schema.json").write_text(SCHEMA)
    ran = command("run", CHAT, "One?", "--format", "schema.json" if in_a_file else SCHEMA)
    assert ran.returncode == 0
    assert isinstance(json.loads(ran.stdout)["n"], int)


@pytest.mark.parametrize("given", ["nowhere.json", "{", '{"type": 7}', "."])
def test_a_format_that_is_none_is_told_before_the_model_is_asked(given: str) -> None:
    with pytest.raises(InvalidArgument):
        read_format(given)


def test_a_picture_goes_with_the_prompt_from_wherever_it_is(
    command: Command, home: Path, daemon: FakeOllama
) -> None:
    (home / "red.png").write_bytes(b64decode(picture(255, 0, 0)))
    ran = command("run", PICTURES, "What is it?", "--image", "red.png")
    assert "I see 1 picture(s)" in ran.stdout
    ran = command("run", PICTURES, "What is it?", "--image", "blue.png")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "blue.png" in ran.stderr


def test_without_a_server_no_tool_is_offered(command: Command, daemon: FakeOllama) -> None:
    command("run", CHAT, "Use keeper__look")
    assert not any("tools" in body for body in chats(daemon))


def test_each_call_and_its_outcome_are_told_on_stderr(command: Command) -> None:
    ran = command("run", CHAT, "Use keeper__look", "--tools", "work")
    call, outcome = ran.stderr.splitlines()[:2]
    assert call == "keeper:look()"
    assert re.fullmatch(r"  \d+ ms: .*a kestrel.*", outcome)


def test_a_server_is_used_by_its_name_alone(command: Command) -> None:
    ran = command("run", CHAT, "Use keeper__look", "--server", "keeper")
    assert "keeper:look()" in ran.stderr
    ran = command("run", CHAT, "Hello", "--server", "keepr")
    assert ran.returncode == 1
    assert "Did you mean keeper?" in ran.stderr


def test_a_call_that_destroys_is_refused_where_nobody_can_be_asked(
    command: Command, home: Path
) -> None:
    ran = command("run", CHAT, "Use keeper__remove", "--tools", "work")
    assert (home / "work/file.txt").exists()
    assert "failed" in ran.stderr
    assert "Access denied" in ran.stderr
    command("run", CHAT, "Use keeper__remove", "--tools", "work", "--allow-destructive")
    assert not (home / "work/file.txt").exists()


# --- exit statuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["nobody:1b", "Hello"], 1, "Error: "),
        (["llama3.2:3b", "Hello", "--tools", "nowhere"], 1, "Error: "),
        (["llama3.2:3b", "Hello", "--tools", "empty"], 1, "No MCP servers matched for --tools"),
        (["llama3.2:3b"], 2, "there is no prompt"),
        (["llama3.2:3b", "--json"], 2, "there is no prompt"),
        (["llama3.2:3b", "Hello", "--max-rounds", "0"], 2, "--max-rounds"),
        (["llama3.2:3b", "Hello", "--colour"], 2, "--colour"),
        (["llama3.2:3b", "Hello", "--tool-timeout", "soon"], 2, "OLLAMA_MCP_TIMEOUT"),
        ([], 2, "MODEL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_fails_is_told_in_a_line_and_in_the_status(
    arguments: list[str], status: int, told: str, command: Command, home: Path
) -> None:
    (home / "empty").mkdir()
    (home / ".ollama/mcp-servers.json").write_text('{"servers": []}')
    ran = command("run", *arguments)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_daemon_is_told(command: Command) -> None:
    ran = command("run", CHAT, "Hello", "--ollama-host", "127.0.0.1:9")
    assert ran.returncode == 1
    assert "nothing answers at http://127.0.0.1:9" in ran.stderr


def test_an_answer_that_was_cut_is_shown_and_is_no_success(
    command: Command, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", line("Half an ans"), {**END, "done_reason": "length"})
    ran = command("run", CHAT, "Hello")
    assert (ran.returncode, ran.stdout) == (1, "Half an ans\n")
    assert "cut at the length limit" in ran.stderr


@pytest.fixture
def asking(home: Path, daemon: FakeOllama) -> Iterator[subprocess.Popen[str]]:
    """The command, while the daemon works on its answer."""
    daemon.reply("/api/chat", line("One "), 30.0, END)
    process = subprocess.Popen(
        [*COMMAND, "run", CHAT, "Hello"],
        env=environment(home, OLLAMA_HOST=daemon.url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    daemon.wait_for(lambda: bool(chats(daemon)), PATIENCE)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_the_answer(
    number: int, status: int, asking: subprocess.Popen[str], daemon: FakeOllama
) -> None:
    asking.send_signal(number)
    _, told = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, told) == (status, "")
    daemon.wait_for(lambda: daemon.requests[-1].closed_early, PATIENCE)


def test_a_signal_ends_the_servers_too(home: Path, daemon: FakeOllama) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", CHAT, "Use keeper__wait", "--tools", "work"],
        cwd=home,
        env=environment(home, OLLAMA_HOST=daemon.url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    written = home / "work/pid"
    daemon.wait_for(lambda: written.exists() and written.read_text() != "", PATIENCE)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (130, "keeper:wait()\n")
    assert not Path("/proc", written.read_text()).exists()


def test_a_reader_that_leaves_is_no_error(home: Path, daemon: FakeOllama) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [*COMMAND, "run", CHAT, "Hello"],
        env=environment(home, OLLAMA_HOST=daemon.url),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, "")


# --- at a terminal --------------------------------------------------------------------------------

Open = Callable[..., Terminal]


@pytest.fixture
def at_terminal(home: Path, daemon: FakeOllama) -> Iterator[Open]:
    """Start the command at a terminal; `home=None` for a user without one."""
    opened: list[Terminal] = []

    def start(*arguments: str, home: Path | None = home, **variables: str) -> Terminal:
        opened.append(Terminal(home, *arguments, OLLAMA_HOST=daemon.url, **variables))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.__exit__()


def test_a_conversation_remembers_until_it_is_told_to_forget(
    at_terminal: Open, daemon: FakeOllama
) -> None:
    terminal = at_terminal("run", CHAT, "--system", "Be brief.")
    terminal.until(">>> ")
    terminal.type("one\n")
    terminal.until("You said: one")
    terminal.until(">>> ")
    terminal.type("two\n")
    terminal.until("You said: two")
    terminal.until(">>> ")
    terminal.type("/clear\n")
    terminal.until(">>> ")
    terminal.type("three\n")
    terminal.until("You said: three")
    terminal.until(">>> ")
    terminal.type("/bye\n")
    assert terminal.wait() == 0
    told = [[message["content"] for message in body["messages"]] for body in chats(daemon)]
    assert told == [
        ["Be brief.", "one"],
        ["Be brief.", "one", "You said: one", "two"],
        ["Be brief.", "three"],
    ]


def test_a_message_of_several_lines_and_the_end_by_ctrl_d(
    at_terminal: Open, daemon: FakeOllama
) -> None:
    terminal = at_terminal("run", CHAT)
    terminal.until(">>> ")
    terminal.type('"""one\n')
    terminal.until("... ")
    terminal.type('two"""\n')
    terminal.until("You said")
    terminal.until(">>> ")
    terminal.type(CTRL_D)
    assert terminal.wait() == 0
    assert chats(daemon)[0]["messages"][-1]["content"] == "one\ntwo"


def test_ctrl_c_stops_the_answer_and_not_the_program(at_terminal: Open, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", line("One "), line("two "), 30.0, END)
    terminal = at_terminal("run", CHAT)
    terminal.until(">>> ")
    terminal.type("count\n")
    terminal.until("two")
    terminal.interrupt("[stopped]")
    daemon.wait_for(lambda: daemon.requests[-1].closed_early, PATIENCE)
    terminal.until(">>> ")
    terminal.interrupt("Ctrl-D or /bye")
    terminal.until(">>> ")
    terminal.type("hello\n")
    terminal.until("You said: hello")
    assert [message["content"] for message in chats(daemon)[-1]["messages"]] == ["hello"]
    terminal.until(">>> ")
    terminal.type(CTRL_D)
    assert terminal.wait() == 0
    assert "Traceback" not in terminal.text


def test_an_error_ends_no_conversation(at_terminal: Open, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", status=500, error="out of luck", times=3)
    terminal = at_terminal("run", CHAT)
    terminal.until(">>> ")
    terminal.type("hello\n")
    terminal.until("Error: ")
    terminal.until(">>> ")
    terminal.type("/nonsense\n")
    terminal.until("There is no command /nonsense")
    terminal.until(">>> ")
    terminal.type("/?\n")
    terminal.until("/servers")
    terminal.until(">>> ")
    terminal.type("/bye\n")
    assert terminal.wait() == 0


@pytest.mark.parametrize("flags", [["--json"], ["--image", "red.png"]])
def test_what_needs_a_prompt_is_no_conversation(flags: list[str], at_terminal: Open) -> None:
    terminal = at_terminal("run", CHAT, *flags)
    assert terminal.wait() == 2
    assert "there is no prompt" in terminal.text


def test_the_history_is_kept_for_its_owner_alone(at_terminal: Open, home: Path) -> None:
    terminal = at_terminal("run", CHAT)
    terminal.until(">>> ")
    terminal.type("a first question\n")
    terminal.until("You said")
    terminal.until(">>> ")
    terminal.type("/bye\n")
    assert terminal.wait() == 0
    file = home / ".local/state/ollama-mcp-server/history"
    assert file.read_text().splitlines() == ["a first question", "/bye"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    terminal = at_terminal("run", CHAT)
    terminal.until(">>> ")
    terminal.type("\x1b[A\x1b[A\n")  # up, up
    terminal.until("You said: a first question")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_user_without_a_home_has_no_history(at_terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    terminal = at_terminal("run", CHAT, home=None, PWD=str(tmp_path / "here"))
    terminal.until(">>> ")
    terminal.type("hello\n")
    terminal.until("You said: hello")
    terminal.until(">>> ")
    terminal.type("/bye\n")
    assert terminal.wait() == 0
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_for_those_who_want_them(
    variables: dict[str, str], at_terminal: Open, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", line("# Title\n\n`code` "), line("**bold**\n"), END)
    terminal = at_terminal("run", CHAT, "Hello", **variables)
    assert terminal.wait() == 0
    coloured = re.search(r"\x1b\[(\d+;)*3[0-9]", terminal.raw) is not None
    assert coloured == (variables == {})
    assert ("**bold**" in terminal.text) == ("TERM" in variables)


@pytest.mark.parametrize(("typed", "is_made"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_the_user_is_asked_before_something_is_destroyed(
    typed: str, is_made: bool, at_terminal: Open, home: Path
) -> None:
    terminal = at_terminal("run", CHAT, "Use keeper__remove", "--tools", "work")
    terminal.until("keeper:remove() may change or delete. Make it? [y/N] ")
    terminal.type(typed)
    assert terminal.wait() == 0
    assert (home / "work/file.txt").exists() != is_made


def test_servers_and_tools_can_be_looked_at(at_terminal: Open) -> None:
    terminal = at_terminal("run", CHAT, "--tools", "work")
    terminal.until(">>> ")
    terminal.type("/servers\n")
    assert "keeper" in terminal.until(">>> ")
    terminal.type("/tools\n")
    shown = terminal.until(">>> ")
    assert "Remove the file." in shown
    terminal.type("Use keeper__look\n")
    terminal.until("keeper:look()")
    terminal.until("The tool answered")
    terminal.until(">>> ")
    terminal.type("/bye\n")
    assert terminal.wait() == 0

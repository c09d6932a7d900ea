"""`ollama-mcp-server run` with a real daemon: piped, as JSON, at a terminal, broken off."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.testbed import daemon, models, runner
from tests.commands.terminal import CTRL_C, CTRL_D, Terminal, environment
from tests.wire import COMMAND, PATIENCE, within

pytestmark = pytest.mark.live

CAPITAL = "What is the capital of France?"
#: Writes for many seconds.
COUNT = "Count: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,"

Ran = subprocess.CompletedProcess[str]
Command = Callable[..., Ran]


@pytest.fixture
def command(ollama: daemon.Daemon, tmp_path: Path) -> Command:
    """Run the command to its end, without a terminal."""

    def run(*arguments: str, piped: str = "") -> Ran:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environment(tmp_path, OLLAMA_HOST=ollama.url),
            input=piped,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run


def test_an_answer_is_piped_in_and_out(command: Command) -> None:
    ran = command("run", models.CHAT, piped=CAPITAL)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Paris" in ran.stdout


def test_json_has_the_answer_and_its_cost(command: Command) -> None:
    ran = command("run", models.CHAT, CAPITAL, "--json")
    assert ran.returncode == 0
    told = json.loads(ran.stdout)
    assert "Paris" in told["answer"]
    assert told["stop_reason"] == "answered"
    assert (told["rounds"], told["steps"]) == (1, [])
    assert told["usage"]["prompt_tokens"] > 5
    assert told["usage"]["completion_tokens"] > 1


def test_a_schema_is_kept_to(command: Command) -> None:
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 40}},
        "required": ["capital"],
    }
    ran = command("run", models.CHAT, CAPITAL, "--format", json.dumps(schema))
    assert ran.returncode == 0, ran.stderr
    assert isinstance(json.loads(ran.stdout)["capital"], str)


def test_a_model_that_is_not_there_is_told(command: Command) -> None:
    ran = command("run", "testbed/chatt:135m", "Hello")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "`ollama pull testbed/chatt:135m`" in ran.stderr


def test_a_conversation_at_a_terminal(ollama: daemon.Daemon, tmp_path: Path) -> None:
    with Terminal(tmp_path, "run", models.CHAT, OLLAMA_HOST=ollama.url) as terminal:
        terminal.until(">>> ")
        terminal.type(f"{CAPITAL}\n")
        terminal.until("Paris")
        terminal.until(">>> ")
        terminal.type(CTRL_D)
        assert terminal.wait() == 0


def test_ctrl_c_frees_the_runner_and_the_conversation_goes_on(
    ollama: daemon.Daemon, tmp_path: Path
) -> None:
    with Terminal(tmp_path, "run", models.CHAT, OLLAMA_HOST=ollama.url) as terminal:

        def attempt() -> float:
            terminal.until(">>> ")
            terminal.type(f"{COUNT}\n")
            terminal.until("21")
            assert not runner.is_idle(ollama.pid, 0.1), "the runner should be at work"
            terminal.type(CTRL_C)
            terminal.until("[stopped]")
            return runner.wait_until_idle(ollama.pid, window=0.1)

        within(0.5, attempt)
        terminal.until(">>> ")
        terminal.type(f"{CAPITAL}\n")
        terminal.until("Paris")
        terminal.until(">>> ")
        terminal.type("/bye\n")
        assert terminal.wait() == 0


def test_ctrl_c_ends_a_single_answer_and_frees_the_runner(
    ollama: daemon.Daemon, tmp_path: Path
) -> None:
    def attempt() -> float:
        arguments = ("run", models.CHAT, COUNT)
        with Terminal(tmp_path, *arguments, OLLAMA_HOST=ollama.url) as terminal:
            terminal.until("21")
            assert not runner.is_idle(ollama.pid, 0.1), "the runner should be at work"
            terminal.type(CTRL_C)
            assert terminal.wait() == 130
            assert "Traceback" not in terminal.text
            return runner.wait_until_idle(ollama.pid, window=0.1)

    within(0.5, attempt)

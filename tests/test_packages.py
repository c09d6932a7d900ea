"""The check of the packages sees a server that works, and tells why another does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ollama_mcp_server import __version__
from scripts.packages import pythons, ways
from scripts.packages.visit import Unanswered, visit
from tests.wire import COMMAND, ROOT


def test_a_server_that_works_tells_its_version_and_its_tools(tmp_path: Path) -> None:
    seen = visit(COMMAND, tmp_path, {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)})
    assert (seen.name, seen.version) == ("ollama-mcp-server", __version__)
    assert {"ollama_chat", "ollama_list"} <= set(seen.tools)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import sys; sys.exit('no such module')", "no such module"),
        ("print('Welcome!')", "JSONDecodeError"),
        ("import time; time.sleep(60)", "ended before it had answered initialize"),
    ],
    ids=["dies", "greets", "hangs"],
)
def test_a_server_that_does_not_answer_is_told_with_its_log(
    program: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(Unanswered) as raised:
        visit([sys.executable, "-c", program], tmp_path, {}, seconds=3)
    assert told in str(raised.value)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="cannot be started"):
        visit([str(tmp_path / "none")], tmp_path, {})


def test_the_python_that_runs_this_is_found() -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert pythons.found()[minor].version.startswith(f"{minor}.")


def test_what_an_installer_says_when_it_fails_is_told() -> None:
    with pytest.raises(ways.Failed, match="no index"):
        ways.run([sys.executable, "-c", "import sys; sys.exit('no index')"])


def test_the_extras_that_are_imported_are_those_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    assert len(ways.EXTRAS) >= extras.count(" = [") - 1  # all of them are in `all`

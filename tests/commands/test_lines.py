"""Where the lines that a user types are kept, and for whom."""

from __future__ import annotations

import stat
from pathlib import Path

from ollama_mcp_server.commands._lines import history_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_and_its_folder_are_their_owners(tmp_path: Path) -> None:
    file = history_file(tmp_path / "state/ours")
    assert file is not None
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


def test_what_is_kept_stays_and_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a question\n")
    (tmp_path / "history").chmod(0o644)
    file = history_file(tmp_path)
    assert file is not None
    assert file.read_text() == "a question\n"
    assert mode(file) == 0o600


def test_there_is_none_without_a_home_or_where_nothing_can_be_written(tmp_path: Path) -> None:
    assert history_file(Path("~/.local/state/ours")) is None
    (tmp_path / "file").write_text("")
    assert history_file(tmp_path / "file" / "ours") is None
    (tmp_path / "state/history").mkdir(parents=True)
    assert history_file(tmp_path / "state") is None

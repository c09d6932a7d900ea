"""A client's file is written whole, with a copy beside it, or not at all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from ollama_mcp_server.clients.file import read, write
from ollama_mcp_server.errors import InvalidArgument, PermissionDenied

NOW = datetime(2026, 1, 2, 3, 4, 5)


def test_a_new_file_is_its_owners_and_has_no_copy(tmp_path: Path) -> None:
    file = tmp_path / "a/b/mcp.json"
    assert read(file) == ""
    assert write(file, "{}\n", NOW) is None
    assert read(file) == "{}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_copy_of_what_it_was_is_kept_and_the_mode_stays(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_bytes(b"old\r\n")
    file.chmod(0o640)
    first, second = write(file, "new\r\n", NOW), write(file, "newer", NOW)
    assert first == tmp_path / "mcp.json.20260102-030405.bak"
    assert second == tmp_path / "mcp.json.20260102-030405-1.bak"
    assert (first.read_bytes(), second.read_bytes()) == (b"old\r\n", b"new\r\n")
    assert file.read_bytes() == b"newer"
    assert file.stat().st_mode & 0o777 == first.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles/settings.json", tmp_path / "settings.json"
    real.parent.mkdir()
    real.write_text("old")
    link.symlink_to(real)
    assert write(link, "new", NOW) == real.with_name("settings.json.20260102-030405.bak")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_what_may_only_be_read_stays(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("old")
    file.chmod(0o444)
    with pytest.raises(PermissionDenied, match="may only be read"):
        write(file, "new", NOW)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(PermissionDenied, match="cannot be written"):
        write(tmp_path / "file/mcp.json", "new", NOW)


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_bytes("{}".encode("utf-16"))
    with pytest.raises(InvalidArgument, match=r"no UTF-8 text \(byte 0\)"):
        read(file)

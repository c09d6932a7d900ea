"""State on the disk: who can read it, and what a crash or a move does to it."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_mcp_server.errors import OllamaMCPError, PermissionDenied
from tests.delegation.memory.opening import opened


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_its_owner_can_read_the_disk(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = tmp_path / "state" / "ours"
        kept = opened("disk", folder)
        await kept.put("things", {"one": {"n": 1}})
    finally:
        os.umask(before)
    assert mode(folder) == mode(folder / "store") == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert {mode(path) for path in files} == {0o600}


async def test_a_folder_that_others_use_is_left_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "with space"
    (shared / "store").mkdir(parents=True)
    for folder in (shared, shared / "store"):
        folder.chmod(0o755)
    kept = opened(shared.as_uri(), tmp_path / "not here")
    await kept.put("things", {"one": {"n": 1}})
    assert mode(shared) == 0o755
    assert mode(shared / "store") == 0o700
    assert not (tmp_path / "not here").exists()


async def test_the_disk_outlives_the_server_and_a_move(tmp_path: Path) -> None:
    await opened("disk", tmp_path / "here").put("things", {"one": {"n": 1}})
    assert await opened("disk", tmp_path / "here").get("things", "one") == {"n": 1}
    (tmp_path / "here").rename(tmp_path / "there")
    moved = opened("disk", tmp_path / "there")
    assert await moved.get("things", "one") == {"n": 1}
    await moved.put("things", {"one": {"n": 2}})
    assert await moved.get("things", "one") == {"n": 2}


async def test_the_expired_and_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    kept = opened("disk", tmp_path)
    await kept.put("things", {"old": {"n": 1}, "new": {"n": 2}})
    (tmp_path / "store" / "things" / "half.tmp").write_text("{")
    for name in ("old.json", "half.tmp"):
        os.utime(tmp_path / "store" / "things" / name, (0, 0))
    await kept.tidy()
    assert [path.name for path in (tmp_path / "store" / "things").iterdir()] == ["new.json"]
    assert await kept.get("things", "new") == {"n": 2}


@pytest.mark.skipif(sys.platform == "win32", reason="no links without a right")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionDenied):
        opened("disk", tmp_path)


async def test_a_damaged_file_and_a_full_disk_are_told(tmp_path: Path) -> None:
    kept = opened("disk", tmp_path)
    await kept.put("things", {"one": {"n": 1}})
    file = tmp_path / "store" / "things" / "one.json"
    file.write_text('{"cut')
    with pytest.raises(OllamaMCPError, match="damaged"):
        await kept.get("things", "one")
    file.unlink()
    file.mkdir()
    with pytest.raises(OllamaMCPError, match="cannot be read or written") as caught:
        await kept.get("things", "one")
    assert caught.value.hint


WRITER = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from ollama_mcp_server.delegation.memory.stores import open_store

async def write() -> None:
    kept, n = open_store(SecretStr("disk"), Path(sys.argv[1])), 0
    while True:
        await kept.put("things", {"one": {"n": n, "text": str(n % 10) * 2_000_000}})
        n += 1

asyncio.run(write())
"""


@pytest.mark.parametrize("after", [0.0, 0.005])
def test_a_crash_in_mid_write_leaves_a_whole_entry(after: float, tmp_path: Path) -> None:
    things = tmp_path / "store" / "things"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) as writer:
        wait_for(lambda: (things / "one.json").exists())
        wait_for(lambda: any(things.glob("*.tmp")))
        time.sleep(after)
        writer.kill()
    found = asyncio.run(opened("disk", tmp_path).get("things", "one"))
    assert found
    assert found["text"] == str(found["n"] % 10) * 2_000_000


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OllamaMCPError, match="cannot be read or written"):
        opened("disk", tmp_path / "file" / "below")


def test_a_user_without_a_home(tmp_path: Path) -> None:
    with pytest.raises(OllamaMCPError) as caught:
        opened("disk", Path("~/.local/state"))
    assert "file:///" in caught.value.hint

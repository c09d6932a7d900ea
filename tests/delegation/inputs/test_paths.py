"""Paths as callers write them, and as they are shown."""

import os
from pathlib import Path

import pytest

from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, NotFound
from tests.delegation.inputs.folders import names, write

pytestmark = pytest.mark.usefixtures("stocked")


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("main.py", ["src/main.py"]),
        ("src/mian.py", ["src/main.py"]),
        ("README", ["README.md"]),
        ("root/src/sub/deep.txt", ["src/sub/deep.txt"]),
        ("zzz", None),
    ],
)
def test_a_wrong_name_is_answered_with_near_ones(
    roots: Roots, root: Path, given: str, near: list[str] | None
) -> None:
    with pytest.raises(NotFound, match=f"there is no file {given}") as caught:
        roots.find(given)
    assert caught.value.details.get("nearest", [None])[:1] == (near or [None])
    assert (near[0] if near else str(root)) in caught.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a\0b", "NUL"),
        ("file:///a%00b", "NUL"),
        ("~", "~ is not expanded"),
        ("~/notes.txt", "~ is not expanded"),
        ("C:\\Users\\me\\a.txt", "path of Windows"),
        ("d:/a.txt", "path of Windows"),
        ("https://example.com/a.txt", "is a URL"),
        ("file://other-host/a.txt", "no file of this machine"),
        ("file:a.txt", "no file of this machine"),
        ("x" * 256, "too long"),
        ("ä" * 128, "too long"),
        ("x/" * 2100, "too long"),
        ("a\ud800b", "not valid Unicode"),
    ],
)
@pytest.mark.parametrize("way", ["find", "writable"])
def test_what_is_no_path_is_told_so(roots: Roots, given: str, message: str, way: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        getattr(roots, way)(given)
    assert caught.value.hint
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_names_are_one_printable_line(roots: Roots, root: Path) -> None:
    write(root / "a\n===== b.txt\x1b[31m\u202e", "")
    (root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"")
    assert names(roots, "a*") == ["a\ufffd===== b.txt\ufffd[31m\ufffd"]
    assert names(roots, "caf*") == ["caf\ufffd.txt"]

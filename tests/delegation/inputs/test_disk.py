"""Files are opened as they were found, or not at all."""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, NotFound, OllamaMCPError, PermissionDenied
from tests.delegation.inputs.folders import write

pytestmark = pytest.mark.usefixtures("stocked")


def test_a_link_swapped_in_after_the_look_leads_nowhere(
    roots: Roots, root: Path, outside: Path
) -> None:
    [file] = roots.find("src/main.py")
    [deep] = roots.find("src/sub/deep.txt")
    file.unlink()
    file.symlink_to(outside)
    (root / "src" / "sub").rename(root / "src" / "sub2")
    (root / "src" / "sub").symlink_to(outside.parent)
    for path in (file, deep):
        with pytest.raises(PermissionDenied, match="outside"):
            roots.read(path, 100)


def test_a_link_swapped_in_between_the_check_and_the_opening_is_not_followed(
    roots: Roots, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [file] = roots.find("src/main.py")
    [deep] = roots.find("src/sub/deep.txt")
    real = os.path.realpath
    # the check still sees what was there before the swap
    seen = {str(path): real(path) for path in (file, deep)}
    file.unlink()
    file.symlink_to(outside)
    (root / "src" / "sub").rename(root / "src" / "sub2")
    (root / "src" / "sub").symlink_to(outside.parent)
    write(outside.parent / "deep.txt", "secret")
    monkeypatch.setattr(os.path, "realpath", lambda path: seen.get(str(path)) or real(path))
    for path in (file, deep):
        with pytest.raises(PermissionDenied, match="replaced"):
            roots.read(path, 100)
        with pytest.raises(PermissionDenied, match="replaced"):
            roots.open(path, "wb")
    assert outside.read_text() == "secret"


def test_one_who_swaps_links_all_the_time_gets_nothing_out(
    roots: Roots, root: Path, outside: Path
) -> None:
    [file] = roots.find("src/sub/deep.txt")
    write(outside.parent / "deep.txt", "secret")
    (root / "link").symlink_to(outside.parent)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for taken, put_there in (("src/sub", "away"), ("link", "src/sub")):
                (root / taken).rename(root / put_there)
            for taken, put_there in (("src/sub", "link"), ("away", "src/sub")):
                (root / taken).rename(root / put_there)

    swapper = threading.Thread(target=swap)
    swapper.start()
    read = set()
    try:
        for _ in range(2000):
            with suppress(OllamaMCPError):
                read.add(roots.read(file, 100))
    finally:
        done.set()
        swapper.join()
    assert read == {b"src/sub/deep.txt"}


def test_a_file_that_went_away(roots: Roots, root: Path) -> None:
    [file] = roots.find("README.md")
    file.unlink()
    with pytest.raises(NotFound, match=r"README\.md is not there any more"):
        roots.read(file, 100)


def test_devices_pipes_and_sockets_are_refused_and_do_not_block(roots: Roots, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        for name in ("pipe", "socket"):
            for way in (roots.find, roots.writable):
                with pytest.raises(InvalidArgument, match=f"{name} is no plain file"):
                    way(name)
            # as if it had been put there after the look
            for mode in ("rb", "wb"):
                with pytest.raises(InvalidArgument, match=f"{name} is no plain file"):
                    roots.open(root / name, mode)  # type: ignore[arg-type]
    assert roots.find("*") == sorted(root / n for n in ("README.md", "notes [1].txt", "größe.txt"))

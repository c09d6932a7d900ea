"""Daemons that are started by servers, not by the tests: the program, and its processes."""

from __future__ import annotations

from pathlib import Path

from scripts.testbed import daemon
from tests.live.sessions import CACHE, VERSION

PROGRAM = CACHE / f"ollama-{VERSION}" / "bin" / "ollama"


def store() -> Path:
    """Return the folder of the test bed's models."""
    return daemon.shared_store(CACHE, VERSION)


def daemons(port: int) -> list[int]:
    """Return the processes that were started to listen at a port, keepers and runners too."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            around = (folder / "environ").read_bytes()
        except OSError:
            continue  # it has just ended
        if f"OLLAMA_HOST=http://127.0.0.1:{port}\0".encode() in around + b"\0" and words:
            found.append(int(folder.name))
    return found


def served(port: int) -> list[int]:
    """Return those of them that are daemons."""
    return [pid for pid in daemons(port) if words(pid)[1:] == [b"serve"]]


def words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []

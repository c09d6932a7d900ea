"""The scripted daemon in a process of its own: it says where it is, and ends with its stdin."""

from __future__ import annotations

import sys

from tests.fake_ollama import FakeOllama


def main() -> None:
    """Serve until stdin closes."""
    with FakeOllama() as daemon:
        print(daemon.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

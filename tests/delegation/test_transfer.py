"""Bytes of layers, and the room for them."""

import pytest

from ollama_mcp_server.delegation.transfer import MARGIN, Transfer, check_room
from ollama_mcp_server.errors import TooLarge


def test_bytes_are_summed_over_layers_and_never_go_back() -> None:
    moved = Transfer()
    for part in (
        {"status": "pulling a", "digest": "a", "total": 10, "completed": 6},
        {"status": "pulling a", "digest": "a", "total": 10, "completed": 4},
        {"status": "pulling b", "digest": "b", "total": 5},
        {"status": "verifying sha256 digest"},
    ):
        moved.add(part)
    assert (moved.done, moved.total, moved.missing) == (6, 15, 9)
    assert moved.status == "verifying sha256 digest"


def test_room() -> None:
    check_room(1000, 1000 + MARGIN, "m")
    with pytest.raises(TooLarge, match="needs 5 MB more on disk"):
        check_room(5_000_000, MARGIN, "m")

"""State in a Valkey or Redis that is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ollama_mcp_server.errors import OllamaMCPError
from tests.delegation.memory.opening import PASSWORD, opened


def test_redis_wants_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(OllamaMCPError) as caught:
        opened("redis://127.0.0.1:1", tmp_path)
    assert "ollama-mcp-server[redis]" in caught.value.hint


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
async def test_no_server_there(scheme: str, tmp_path: Path) -> None:
    kept = opened(f"{scheme}://me:{PASSWORD}@127.0.0.1:1/3?socket_keepalive=yes", tmp_path)
    with pytest.raises(OllamaMCPError) as caught:
        await kept.get("things", "one")
    assert "127.0.0.1:1/3" in caught.value.message
    assert caught.value.retryable
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"
    await kept.aclose()

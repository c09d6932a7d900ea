"""Which store a URL names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_mcp_server.delegation.memory import stores
from ollama_mcp_server.errors import OllamaMCPError
from tests.delegation.memory.opening import PASSWORD, opened


async def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MAX_ENTRIES", 3)
    kept = opened(None, tmp_path)
    for n in range(5):
        await kept.put("things", {f"k{n}": {"n": n}})
    assert [await kept.get("things", f"k{n}") for n in range(5)].count(None) == 2


@pytest.mark.parametrize(
    "url",
    [
        "postgres://" + PASSWORD + "@host/db",
        PASSWORD,
        "file://host/folder",
        f"redis://:{PASSWORD}/x@host",
        f"redis://:{PASSWORD}@host:99999999",
    ],
)
def test_a_url_that_names_no_store_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(OllamaMCPError) as caught:
        opened(url, tmp_path)
    assert "OLLAMA_MCP_STATE_URL" in str(caught.value)
    assert caught.value.hint
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"

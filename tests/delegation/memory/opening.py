"""States, opened as the settings would have them."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from ollama_mcp_server.delegation.memory.state import State
from ollama_mcp_server.delegation.memory.stores import open_store

PASSWORD = "hunter2-not-for-logs"


def opened(url: str | None, folder: Path, **more: float) -> State:
    return open_store(SecretStr(url) if url else None, folder, **more)

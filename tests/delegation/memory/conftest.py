"""Conversations, kept in memory and on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ollama_mcp_server.delegation.memory.conversations import Conversations
from ollama_mcp_server.delegation.memory.state import State
from ollama_mcp_server.delegation.memory.stores import open_store


@pytest.fixture(params=["memory", "disk"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    return open_store(SecretStr(request.param), tmp_path / "state")


@pytest.fixture
def kept(state: State) -> Conversations:
    return Conversations(state)

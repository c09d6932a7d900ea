"""What servers have in common that one balancer stands before."""

from collections.abc import Callable

import pytest
from mcp.server.request_state import InvalidRequestState

from ollama_mcp_server.app import App
from ollama_mcp_server.server import sealing
from ollama_mcp_server.settings import Settings

SECRET = "a secret that is shared by replicas"


def test_servers_that_share_a_secret_open_what_the_other_has_sealed() -> None:
    one, other = (sealing(Settings(request_state_key=SECRET)) for _ in range(2))
    assert one is not None
    assert other is not None
    sealed = one.codec.seal(b"a question")
    assert other.codec.unseal(sealed) == b"a question"
    foreign = sealing(Settings(request_state_key=SECRET.upper()))
    assert foreign is not None
    with pytest.raises(InvalidRequestState):
        foreign.codec.unseal(sealed)


def test_without_a_secret_each_has_its_own(make_app: Callable[..., App]) -> None:
    assert sealing(make_app().settings) is None


def test_a_secret_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="32 characters at least"):
        Settings(request_state_key="too short a secret")

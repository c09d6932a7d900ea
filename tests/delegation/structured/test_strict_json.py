"""JSON as its standard has it."""

from typing import Any

import pytest

from ollama_mcp_server.delegation.structured.strict_json import depth_of, finite, refuse_constant


def test_depth_is_counted_as_far_as_it_matters() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert depth_of({"a": [1]}, 50) == 2
    assert depth_of(deep, 50) == 51


def test_no_number_is_infinite_or_none() -> None:
    assert finite("1.5e3") == 1500
    with pytest.raises(ValueError, match="1e400"):
        finite("1e400")
    with pytest.raises(ValueError, match="NaN"):
        refuse_constant("NaN")

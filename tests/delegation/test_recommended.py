"""The models that are named where none is installed: each needs what it needs, and one fits."""

from __future__ import annotations

import re
from datetime import date

import pytest

from ollama_mcp_server.delegation.recommended import AS_OF, MODELS, SHARE, SMALL, fitting

GB = 10**9


def test_the_table_is_of_models_by_what_they_take() -> None:
    assert date.fromisoformat(AS_OF)
    assert [model.memory for model in MODELS] == sorted(model.memory for model in MODELS)
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert re.fullmatch(r"[a-z0-9.-]+:[a-z0-9.]+", model.name), (
            "with its tag: sizes are the tag's"
        )
        assert 0 < model.download < model.memory
        assert set(model.also) <= {"vision", "thinking"}
        assert model.licence


@pytest.mark.parametrize("memory", [2, 4, 8, 16, 24, 32, 64, 128, 512])
def test_what_is_named_fits_the_memory_and_comes_largest_first(memory: int) -> None:
    found = fitting(memory * GB)
    assert found == sorted(found, key=lambda model: model.memory, reverse=True)
    assert found[0].memory <= memory * SHARE or found == [MODELS[0]]
    larger = [model for model in MODELS if model.memory > found[0].memory]
    assert all(model.memory > memory * SHARE for model in larger)


def test_where_the_memory_is_not_known_a_small_one_is_named() -> None:
    assert fitting(None) == [SMALL]
    assert SMALL in MODELS

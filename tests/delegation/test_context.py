"""The arithmetic of context windows."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.context import (
    Known,
    Plan,
    at_most,
    kept,
    likely,
    limit_of,
    overran,
    plan,
    power_of_two,
    raised,
)

LOADED = Known(window=4096, limit=32_768, loaded=True)


def asks(size: int, **options: Any) -> dict[str, Any]:
    return {"prompt": "x" * size, **({"options": options} if options else {})}


def test_a_short_prompt_keeps_the_loaded_window_and_is_bounded_so_that_nothing_shifts() -> None:
    planned = plan(asks(100), LOADED)
    assert planned.num_ctx == 4096
    assert planned.shift is None
    assert planned.num_predict == 4096 - at_most(asks(100), LOADED)


def test_what_the_daemon_would_load_anyway_is_not_said() -> None:
    known = Known(window=4096, limit=32_768)
    assert plan(asks(100, num_predict=10), known) == Plan()


def test_a_bounded_answer_needs_no_bound_of_ours() -> None:
    assert plan(asks(100, num_predict=500), LOADED) == Plan(num_ctx=4096)
    known = Known(4096, 32_768, num_predict=128, loaded=True)
    assert plan(asks(100), known) == Plan(num_ctx=4096)


def test_where_an_answer_may_fill_the_window_a_shift_is_forbidden() -> None:
    assert plan(asks(3000), LOADED) == Plan(num_ctx=4096, shift=False)
    assert plan(asks(100, num_predict=4000), LOADED) == Plan(num_ctx=4096, shift=False)
    assert plan(asks(100, num_predict=-1), LOADED) == Plan(num_ctx=4096, shift=False)


def test_a_long_prompt_raises_the_window_in_powers_of_two() -> None:
    planned = plan(asks(40_000), LOADED)
    assert planned == Plan(num_ctx=16_384, shift=False)
    assert plan(asks(10**6), LOADED).num_ctx == 32_768  # the limit; the daemon has the last word


def test_what_the_caller_gave_is_left_alone() -> None:
    assert plan(asks(40_000, num_ctx=512), LOADED).num_ctx is None
    assert plan(asks(40_000) | {"shift": True}, LOADED).shift is None


def test_a_larger_loaded_window_is_kept() -> None:
    known = Known(window=65_536, limit=32_768, loaded=True)
    assert plan(asks(200_000), known).num_ctx == 65_536


def test_a_runner_that_forbids_a_shift_stays_so() -> None:
    known = Known(window=4096, limit=32_768, loaded=True, unshifting=True)
    assert plan(asks(10), known) == Plan(num_ctx=4096, shift=False)


def test_a_load_keeps_what_is_loaded() -> None:
    assert kept(LOADED, {}) == Plan(num_ctx=4096)
    assert kept(LOADED, {"num_ctx": 512}) == Plan()
    assert kept(Known(4096, 4096), {}) == Plan()
    unshifting = Known(4096, 4096, loaded=True, unshifting=True)
    assert kept(unshifting, {}) == Plan(num_ctx=4096, shift=False)


def test_an_unknown_window_forbids_a_shift() -> None:
    assert plan(asks(10), Known(window=None, limit=32_768)) == Plan(shift=False)


@pytest.mark.parametrize(
    ("needed", "window", "answer", "limit", "larger"),
    [
        (3000, 2048, None, 8192, 4096),
        (3000, 2048, 2000, 8192, 8192),
        (8000, 2048, None, 8192, 8192),  # less room for the answer is better than no answer
        (8192, 2048, None, 8192, None),
        (3000, 8192, None, 8192, None),
        (None, 2048, None, 8192, 4096),  # a daemon that gives no numbers
    ],
)
def test_after_a_refusal(
    needed: int | None, window: int, answer: int | None, limit: int, larger: int | None
) -> None:
    assert raised(needed, window, answer, limit) == larger


@pytest.mark.parametrize(
    ("maximum", "setting", "limit"),
    [(8192, None, 8192), (131_072, None, 32_768), (131_072, 65_536, 65_536), (8192, 65_536, 8192),
     (8192, 2048, 2048), (None, None, 32_768), (None, 512, 512)],
)  # fmt: skip
def test_the_limit(maximum: int | None, setting: int | None, limit: int) -> None:
    assert limit_of(maximum, setting) == limit


def test_powers_of_two() -> None:
    assert [power_of_two(n) for n in (1, 2, 3, 1024, 1025)] == [2, 2, 4, 1024, 2048]


def test_everything_that_becomes_prompt_is_counted() -> None:
    body = {
        "messages": [
            {"role": "system", "content": "é" * 50},
            {"role": "user", "content": "", "images": ["…"]},
            {"role": "assistant", "content": "", "thinking": "y" * 100, "tool_calls": [{"a": 1}]},
        ],
        "tools": [{"type": "function"}],
    }
    known = Known(4096, 4096, hidden=70, template=10_000)
    assert likely(body, known) == (100 + 100 + 10 + 22 + 70) * 10 // 35
    assert at_most(body, known) > likely(body, known) + 4096 + 1024


def test_a_window_that_was_not_kept_is_noticed() -> None:
    assert overran(100, {"prompt_eval_count": 60, "eval_count": 50})
    assert not overran(100, {"prompt_eval_count": 60, "eval_count": 40})
    assert not overran(None, {"prompt_eval_count": 60, "eval_count": 40})

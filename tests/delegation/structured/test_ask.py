"""Answers by a schema: checked, asked for again, or refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.structured.ask import Ask, ask_for_data, correction
from ollama_mcp_server.errors import ContextOverflow, ToolFailed

PRICE: dict[str, Any] = {"type": "object", "properties": {"price": {"type": "number"}}}


def answered(content: str, reason: str = "stop", **final: Any) -> Answer:
    counts = {"prompt_eval_count": 10, "eval_count": 5, "eval_duration": 100, **final}
    return Answer(content=content, final={"done": True, "done_reason": reason, **counts})


def model(*answers: Answer | Exception) -> tuple[Ask, list[list[tuple[str, str]]]]:
    """A model that answers so, one after another; and what it was told each time."""
    told: list[list[tuple[str, str]]] = []

    async def ask(corrections: list[tuple[str, str]]) -> Answer:
        answer = answers[len(told)]
        told.append(list(corrections))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask, told


async def test_a_good_answer_is_not_asked_for_again() -> None:
    ask, told = model(answered('{"price": 5}'))
    answer = await ask_for_data(ask, PRICE)
    assert (answer.data, answer.warnings, told) == ({"price": 5}, [], [[]])


async def test_a_wrong_answer_is_corrected() -> None:
    ask, told = model(answered('{"price": "5"}'), answered("oh"), answered('{"price": 5}'))
    answer = await ask_for_data(ask, PRICE)
    assert answer.data == {"price": 5}
    assert answer.warnings == [
        "asked 3 times: the first answer did not fit: price must be a number"
    ]
    assert [len(corrections) for corrections in told] == [0, 1, 2]
    assert told[2][0] == ('{"price": "5"}', correction(["price must be a number"]))
    assert told[2][1][0] == "oh"
    assert answer.final["prompt_eval_count"] == 30
    assert answer.final["eval_count"] == 15
    assert answer.final["eval_duration"] == 300


async def test_one_answer_may_be_used_for_all_tries() -> None:
    shared = Answer()
    texts = iter(('{"price": "5"}', '{"price": 5}'))

    async def ask(_: list[tuple[str, str]]) -> Answer:
        shared.content, shared.final = next(texts), {"eval_count": 5}
        return shared

    answer = await ask_for_data(ask, PRICE)
    assert (answer.data, answer.final["eval_count"]) == ({"price": 5}, 10)


@pytest.mark.parametrize(("retries", "asked"), [(0, "once"), (2, "3 times")])
async def test_what_never_fits_is_an_error_with_the_text(retries: int, asked: str) -> None:
    wrong = answered('{"price": "5"}')
    ask, told = model(*[wrong] * 3)
    with pytest.raises(ToolFailed, match=f"asked {asked}.*price must be a number") as failed:
        await ask_for_data(ask, PRICE, retries)
    assert len(told) == retries + 1
    assert failed.value.details == {
        "content": '{"price": "5"}',
        "violations": ["price must be a number"],
        "asked": retries + 1,
    }


async def test_a_cut_answer_is_not_asked_for_again() -> None:
    ask, told = model(answered('{"price": ', "length"))
    with pytest.raises(ToolFailed, match="cut at the length limit") as failed:
        await ask_for_data(ask, PRICE)
    assert len(told) == 1
    assert failed.value.details["content"] == '{"price": '
    assert "num_predict" in failed.value.hint


async def test_an_answer_that_is_whole_at_the_limit_counts() -> None:
    ask, _ = model(answered('{"price": 5}', "length"))
    assert (await ask_for_data(ask, PRICE)).data == {"price": 5}


async def test_corrections_that_do_not_fit_the_window_end_it() -> None:
    ask, _ = model(answered('{"price": "5"}'), ContextOverflow("too long"))
    with pytest.raises(ToolFailed, match="asked once"):
        await ask_for_data(ask, PRICE)


async def test_a_prompt_that_does_not_fit_is_the_callers() -> None:
    ask, _ = model(ContextOverflow("too long"))
    with pytest.raises(ContextOverflow):
        await ask_for_data(ask, PRICE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(tool_calls=[{"function": {"name": "f", "arguments": {}}}], final={"done": True}),
        answered("", "load"),
        Answer(final={"_debug_info": {}}),
    ],
)
async def test_where_no_text_is_to_come_none_is_missed(answer: Answer) -> None:
    ask, told = model(answer)
    assert await ask_for_data(ask, PRICE) is answer
    assert len(told) == 1


async def test_the_content_is_the_json_alone() -> None:
    ask, _ = model(answered('Here:\n```json\n{"price": 5}\n```'))
    answer = await ask_for_data(ask, PRICE)
    assert answer.content == '{"price": 5}'
    assert answer.warnings == ["what stood around the JSON was left out"]


async def test_any_json_will_do_without_a_schema() -> None:
    ask, told = model(answered("no"), answered("[1]"))
    assert (await ask_for_data(ask, None)).data == [1]
    assert len(told) == 2

"""What a batch has come to: counts, order, and what goes to its file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.batch.journal import Journal, open_journal
from ollama_mcp_server.delegation.batch.ledger import Ledger, fitting, span
from ollama_mcp_server.delegation.batch.template import Item, parse
from ollama_mcp_server.errors import TimedOut
from tests.delegation.batch.test_journal import plain

ITEMS = [Item.of(f"text {number}") for number in range(6)]


def answer(content: str, tokens: int = 10, **more: Any) -> Answer:
    final = {"done": True, "eval_count": tokens, "prompt_eval_count": 5, "model": "a", **more}
    return Answer(content=content, final=final)


def opened(path: Path, models: tuple[str, ...] = ("a",)) -> Journal:
    fields = [item.fields for item in ITEMS]
    return open_journal(partial(plain, path), path.name, models, {"prompt": "p"}, fields)


def test_results_stand_in_the_order_of_the_items_whenever_they_came() -> None:
    ledger = Ledger(ITEMS, ["b", "a"], None)
    ledger.take("a", 1, answer("a1"))
    ledger.take("b", 5, answer("b5"))
    ledger.take("b", 2, TimedOut("late", "Give more"))
    ledger.take("a", 0, answer("a0"))
    lines = ledger.lines()
    assert [(line["model"], line["index"]) for line in lines] == [
        ("b", 2), ("b", 5), ("a", 0), ("a", 1)
    ]  # fmt: skip
    assert lines[0]["error"] == {"code": "timeout", "message": "late", "hint": "Give more"}
    assert lines[2] == {
        "index": 0, "item": "text 0", "model": "a", "content": "a0",
        "usage": {"prompt_tokens": 5, "completion_tokens": 10},
    }  # fmt: skip
    assert (ledger.done, ledger.failed, ledger.total) == (3, 1, 12)
    assert (ledger.prompt_tokens, ledger.completion_tokens) == (15, 30)
    assert ledger.codes == {"timeout": 1}


def test_data_thinking_and_a_cut_stand_in_the_line() -> None:
    ledger = Ledger(ITEMS, ["a"], None)
    said = answer('{"x": null}', done_reason="length")
    said.data, said.thinking = {"x": None}, "Hm"
    ledger.take("a", 0, said, ["it was cut"])
    (line,) = ledger.lines()
    assert (line["data"], line["thinking"], line["done_reason"]) == ({"x": None}, "Hm", "length")
    assert "content" not in line
    assert line["warnings"] == ["it was cut"]
    assert ledger.remarks == {"it was cut": 1}


def test_a_later_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    path, template = tmp_path / "out.jsonl", parse("Say {item}")
    with opened(path) as journal:
        ledger = Ledger(ITEMS, ["a"], journal)
        for index, _ in list(ledger.prompts("a", template))[:4]:
            ledger.take("a", index, TimedOut("late") if index == 1 else answer(f"a{index}"))
        ledger.close()
    with opened(path) as journal:
        ledger = Ledger(ITEMS, ["a"], journal)
        assert (ledger.done, ledger.earlier, ledger.failed) == (3, 3, 0)
        assert ledger.message == "3 of 6"
        todo = dict(ledger.prompts("a", template))
        assert todo == {1: "Say text 1", 4: "Say text 4", 5: "Say text 5"}
        for index in todo:
            ledger.take("a", index, answer(f"a{index}"))
        ledger.close()
        assert [line["content"] for line in ledger.lines()] == ["a0", "a1", "a2"]
    with opened(path) as journal:
        assert sorted(line["index"] for line in journal.done) == list(range(6))
        assert {line["content"] for line in journal.done} == {f"a{n}" for n in range(6)}


def test_failures_are_written_last(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with opened(path) as journal:
        ledger = Ledger(ITEMS, ["a"], journal)
        ledger.take("a", 0, TimedOut("late"))
        ledger.take("a", 1, answer("a1"))
        ledger.close()
    assert ['"error"' in line for line in path.read_text().splitlines()] == [False, False, True]


def test_the_message_tells_how_far_it_is() -> None:
    times = iter([100.0, 101.0, 102.0])
    ledger = Ledger(ITEMS, ["a"], None, lambda: next(times))
    assert ledger.message == "0 of 6"
    ledger.take("a", 0, answer("x", 20))
    assert ledger.message == "1 of 6"
    ledger.take("a", 1, answer("x", 30))
    assert ledger.message == "2 of 6, 30 tokens/s, about 4 s left"
    ledger.take("a", 2, TimedOut("late"))
    assert ledger.message == "3 of 6, 1 failed, 15 tokens/s, about 3 s left"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (40, "40 s"), (700, "12 min"), (12_600, "3.5 h")]
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_what_fits() -> None:
    lines = [{"index": 0, "content": "x" * 50}, {"index": 1, "content": "y" * 50}]
    assert fitting(lines, 1000) == (lines, True)
    assert fitting(lines, 100) == (lines[:1], False)
    assert fitting(lines, 10) == ([{"index": 0, "content": "x" * 10 + "…"}], False)
    assert fitting(lines, 0) == ([], False)
    assert fitting([{"index": 0, "data": "x" * 50}], 10) == ([], False)
    assert fitting([], 0) == ([], True)

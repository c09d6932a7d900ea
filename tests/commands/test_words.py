"""A run in words: no line is broken, nothing commands a terminal, the end of it is told."""

from __future__ import annotations

import io

import pytest

from ollama_mcp_server.agent.events import Run, Step
from ollama_mcp_server.commands._words import (
    CONSENT,
    Calls,
    answer_text,
    call_line,
    clean,
    failure,
    outcome,
    remarks,
    write,
)
from ollama_mcp_server.daemon.refusals import missing
from ollama_mcp_server.errors import NotFound

EVIL = "a\x1b]0;title\x07\x9b31m\r\nb\u202ec"


def test_a_call_is_told_as_server_tool_and_arguments() -> None:
    step = Step(1, "fs", "read", {"path": "/a", "lines": [1, 2], "all": True})
    assert call_line(step) == 'fs:read(path="/a", lines=[1, 2], all=true)'


def test_a_call_that_is_no_servers_has_its_name_alone() -> None:
    assert call_line(Step(1, "", "nonsense", {})) == "nonsense()"


def test_long_arguments_are_cut_but_not_where_consent_is_asked() -> None:
    step = Step(1, "fs", "write", {"text": "x" * 1000})
    assert len(call_line(step)) < 330
    assert "x" * 1000 in call_line(step, CONSENT)


@pytest.mark.parametrize("text", [EVIL, EVIL * 100])
def test_nothing_that_a_server_or_a_model_says_breaks_a_line_or_commands_a_terminal(
    text: str,
) -> None:
    step = Step(1, text, text, {text: text}, error=text)
    told = [call_line(step), outcome(step), outcome(Step(1, "s", "t", {}, result=text))]
    told += remarks(Run(warnings=[text]), verbose=False)
    for line in told:
        assert not set(line) & {"\x1b", "\x07", "\x9b", "\r", "\n", "\u202e"}, line


def test_an_answer_keeps_its_lines_and_tabs_and_loses_commands() -> None:
    assert clean("a\tb\n\x1b[2Jc\x00é") == "a\tb\n[2Jcé"


def test_an_outcome_is_one_line_with_its_milliseconds() -> None:
    assert outcome(Step(1, "s", "t", {}, result="one\n\n two", ms=12)) == "12 ms: one two"
    assert outcome(Step(1, "s", "t", {}, result="", ms=0)) == "0 ms: (nothing)"
    assert outcome(Step(1, "s", "t", {}, error="no", ms=3)) == "failed after 3 ms: no"
    assert len(outcome(Step(1, "s", "t", {}, result="x" * 999))) < 120


def test_outcomes_of_calls_side_by_side_name_theirs() -> None:
    one, two = Step(1, "s", "one", {}, result="1"), Step(1, "s", "two", {}, result="2")
    calls = Calls()
    assert [calls.begun(one), calls.begun(two)] == ["s:one()", "s:two()"]
    assert calls.ended(one) == ["  s:one 0 ms: 1"]
    assert calls.ended(two) == ["  0 ms: 2"]


def test_a_call_that_was_never_made_is_told_with_its_outcome() -> None:
    step = Step(1, "", "nonsense", {}, error="Tool not found: nonsense")
    assert Calls().ended(step) == ["nonsense()", "  failed after 0 ms: Tool not found: nonsense"]


def test_the_answer_is_the_data_where_there_is_some() -> None:
    assert answer_text(Run(answer="x", data={"a": "é"})) == '{\n  "a": "é"\n}'
    assert answer_text(Run(answer="x")) == "x"


def test_an_end_that_is_no_answer_is_told() -> None:
    told = remarks(Run(warnings=["careful"], stop_reason="max_rounds"), verbose=False)
    assert told[0] == "[careful]"
    assert "max_rounds" in told[1]
    assert remarks(Run(), verbose=False) == []


def test_all_is_told_on_request() -> None:
    run = Run(model="m", mode="fallback", rounds=2, prompt_tokens=7, completion_tokens=5)
    run.steps, run.context = [Step(1, "s", "t", {})], 4096
    assert remarks(run, verbose=True) == [
        "[m, fallback: 2 rounds, 1 call, tokens 7 + 5 of 4096]",
    ]


def test_what_is_piped_on_is_left_as_it_is() -> None:
    stream = io.StringIO()
    write(stream, "\x1b[1mraw")
    write(stream, "line\n")
    write(stream, "")
    assert stream.getvalue() == "\x1b[1mraw\nline\n"


def test_an_error_names_what_people_have_at_hand() -> None:
    assert failure(missing("qwen3:4b")) == (
        "Error: the model 'qwen3:4b' is not installed. "
        "Get it with `ollama pull qwen3:4b`, or see `ollama list`."
    )
    assert "\x1b" not in failure(NotFound("no \x1b[2J", "use my_ollama_list"))
    assert "my_ollama_list" in failure(NotFound("no", "use my_ollama_list"))

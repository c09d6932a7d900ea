"""What hosts are shown of a run."""

from __future__ import annotations

from ollama_mcp_server.agent.events import Run, Step
from ollama_mcp_server.agent.results import MOST_STEPS, SHOWN, answer_of, as_text, line, meta_of

READ = Step(1, "fs", "read_file", {"path": "a.txt"}, result="x" * 1000, ms=3)
FAILED = Step(2, "", "fly", {}, error="Tool not found: fly")


def test_long_texts_are_cut_in_the_object_and_whole_in_meta() -> None:
    run = Run("done", steps=[READ, FAILED], rounds=3, model="m")
    said = answer_of(run).lean()
    first, second = said["steps"]
    assert first["tool"] == "fs:read_file"
    assert first["result"] == "x" * SHOWN + "… (1000 characters)"
    assert second == {"tool": "fly", "arguments": {}, "error": "Tool not found: fly", "ms": 0}
    assert next(iter(said)) == "content"
    assert "warnings" not in said
    assert meta_of(run)["ollama/steps"][0]["result"] == "x" * 1000


def test_what_ended_a_run_early_is_the_first_warning() -> None:
    run = Run("so far", stop_reason="max_rounds", warnings=["another"])
    warnings = answer_of(run).warnings
    assert warnings is not None
    assert "rounds were used up" in warnings[0]
    assert warnings[1] == "another"


def test_the_text_alone_tells_what_was_done() -> None:
    text = as_text(Run("The answer.", steps=[READ, FAILED]))
    assert text.splitlines() == [
        "The answer.",
        '[fs:read_file(path="a.txt") answered, 3 ms]',
        "[fly() failed: Tool not found: fly, 0 ms]",
    ]


def test_data_takes_the_place_of_the_content() -> None:
    run = Run('{"a": 1}', data={"a": 1})
    assert answer_of(run).lean()["data"] == {"a": 1}
    assert "content" not in answer_of(run).lean()
    assert as_text(run) == '{"a": 1}'


def test_many_steps_are_said_to_be_left_out() -> None:
    run = Run("done", steps=[READ] * (MOST_STEPS + 5))
    said = answer_of(run)
    assert len(said.steps) == MOST_STEPS
    assert said.warnings == [f"only the last {MOST_STEPS} of {MOST_STEPS + 5} steps are shown"]


def test_steps_of_megabytes_stay_out_of_meta() -> None:
    run = Run("done", steps=[Step(1, "a", "b", {}, result="x" * 300_000)])
    assert meta_of(run) == {}


def test_a_line_holds_its_arguments_in_short() -> None:
    step = Step(1, "fs", "write", {"content": "y" * 500}, error="z" * 500)
    assert len(line(step)) < 600

"""What is seen of a run at a terminal, as rich draws it there."""

from __future__ import annotations

import io
from itertools import accumulate

import pytest
from rich.console import Console

from ollama_mcp_server.agent.events import Asking, Called, Calling, Ended, Run, Said, Step
from ollama_mcp_server.commands._engine import Note
from ollama_mcp_server.commands._markdown import Tail, settled
from ollama_mcp_server.commands._terminal import Terminal
from tests.commands.screens import screen_of

TEXT = """# A title

Some **bold** words
in a paragraph.

1. one

2. two

```python
x = 1

y = 2
```

| a | b |
|---|---|
| 1 | 2 |

The end."""


def shown(events: list[object], **options: bool) -> list[str]:
    """Return the lines of a terminal after some events."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=60, height=20, color_system=None)
    terminal = Terminal(console, **options)
    for event in events:
        terminal.show(event)
    terminal.close()
    return screen_of(stream.getvalue())


def said(text: str, size: int = 3) -> list[object]:
    return [Said(content=text[at : at + size]) for at in range(0, len(text), size)]


def test_an_answer_is_drawn_as_markdown_and_each_part_of_it_once() -> None:
    lines = shown([Asking(1, "m", "native"), *said(TEXT), Ended(Run(answer=TEXT))])
    text = "\n".join(lines)
    for part in ("A title", "Some bold words", "x = 1", "y = 2", "The end."):
        assert text.count(part) == 1, text
    assert "**" not in text
    assert "```" not in text
    assert [line.strip() for line in lines if line.strip()[:2] in ("1 ", "2 ")] == [
        "1 one",
        "2 two",
        "1  2",
    ]


def test_a_text_is_settled_up_to_its_last_block() -> None:
    parts, rest = [], ""
    for character in TEXT:
        rest += character
        if end := settled(rest):
            parts.append(rest[:end])
            rest = rest[end:]
    assert "".join(parts) + rest == TEXT
    assert [part.split()[0] for part in parts] == ["#", "Some", "1.", "```python"]
    assert parts[2].split() == ["1.", "one", "2.", "two"], "a list is one block"


def test_a_text_of_one_block_is_never_settled() -> None:
    for text in accumulate("```\n\n# no title\n\n- no list\n"):
        assert settled(text) == 0


def test_of_a_long_block_its_end_is_drawn() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, height=10)
    text = "```\n" + "\n".join(f"line {number}" for number in range(50))
    lines = console.render_lines(Tail(text, console))
    drawn = ["".join(segment.text for segment in line).strip() for line in lines]
    assert len([line for line in drawn if line]) <= 8
    assert "line 49" in drawn
    assert "line 0" not in drawn


def test_a_call_stands_between_what_is_said_before_and_after_it() -> None:
    step = Step(1, "fs", "list", {"path": "/a"}, result="one\ntwo", ms=7)
    lines = shown(
        [
            Note("loading m"),
            Asking(1, "m", "native"),
            *said("I will look."),
            Calling(step),
            Note("calling fs:list"),
            Called(step),
            Asking(2, "m", "native"),
            *said("Two files."),
            Ended(Run(answer="Two files.", warnings=["careful"])),
        ]
    )
    assert [line for line in lines if line] == [
        "I will look.",
        'fs:list(path="/a")',
        "  7 ms: one two",
        "Two files.",
        "[careful]",
    ]


def test_nothing_is_waited_for_after_the_end() -> None:
    lines = shown([*said("Yes."), Ended(Run(answer="Yes.")), Note("writing: token 2")])
    assert [line for line in lines if line] == ["Yes."]
    stream = io.StringIO()
    terminal = Terminal(Console(file=stream, force_terminal=True, width=60))
    for event in (Ended(Run()), Note("late")):
        terminal.show(event)
    assert "late" not in stream.getvalue()


def test_thoughts_are_told_apart_from_the_answer() -> None:
    lines = shown([Said(thinking="hm, "), Said(thinking="well"), *said("Yes."), Ended(Run())])
    assert [line for line in lines if line] == ["hm, well", "Yes."]


def test_an_answer_that_was_never_said_piece_by_piece_is_shown_too() -> None:
    lines = shown([Asking(1, "m", "native"), Ended(Run(answer="Whole."))])
    assert [line for line in lines if line] == ["Whole."]


def test_data_is_shown_as_json_and_what_led_to_it_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(answer='{"a":1}', data={"a": 1})
    lines = shown([Asking(1, "m", "native"), *said("It is one."), Ended(run)], as_data=True)
    assert not any(lines)
    assert capsys.readouterr().out == '{\n  "a": 1\n}\n'


def test_results_are_shown_whole_on_request() -> None:
    step = Step(1, "fs", "list", {}, result="one\ntwo", ms=7)
    lines = shown([Calling(step), Called(step), Ended(Run())], verbose=True)
    assert "two" in lines


def test_what_was_said_stays_when_it_is_broken_off() -> None:
    assert [line for line in shown(said("Half an ans")) if line] == ["Half an ans"]


def test_a_model_commands_no_terminal() -> None:
    stream = io.StringIO()
    terminal = Terminal(Console(file=stream, force_terminal=True, width=60, color_system=None))
    for event in said("a \x1b]0;title\x07 [link](http://evil.example) b", 5):
        terminal.show(event)
    terminal.close()
    assert "\x1b]" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
    assert "http://evil.example" in stream.getvalue(), "where a link leads is shown"

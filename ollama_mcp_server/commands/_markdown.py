"""Markdown while it is written: what is done is printed, the end is drawn again and again."""

from __future__ import annotations

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown
from rich.segment import Segment


def markdown(text: str) -> Markdown:
    """Return a text to be drawn as Markdown; addresses are shown, for a link could hide one."""
    return Markdown(text, hyperlinks=False)


def settled(text: str) -> int:
    """Return how many characters at the start of a Markdown text are whole blocks.

    Those are all but the last block, and a line that is not whole yet.
    """
    lines = text.split("\n")[:-1]
    tokens = MarkdownIt().enable("table").parse("\n".join(lines))
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map]
    return sum(len(line) + 1 for line in lines[: starts[-1]]) if starts else 0


class Tail:
    """As much of a text's end as a terminal holds, as Markdown."""

    def __init__(self, text: str, console: Console) -> None:
        self._text, self._console = text, console

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(markdown(self._text), options, pad=False)
        for line in lines[-max(console.height - 2, 1) :]:
            yield from line
            yield Segment.line()

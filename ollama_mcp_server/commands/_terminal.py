"""What is seen of a run at a terminal: Markdown while it is written, and what is waited for."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ..agent.events import Asking, Called, Calling, Ended, Run, Said, Step
from ..delegation.inputs.paths import printable
from ._engine import Note
from ._markdown import Tail, markdown, settled
from ._words import RESULT, Calls, answer_text, clean, remarks, write


class Terminal:
    """Markdown as it is written, and what is waited for in a line that goes again."""

    def __init__(self, console: Console, *, verbose: bool = False, as_data: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        #: The answer is asked for as JSON, and only that is shown.
        self._as_data = as_data
        self._live: Live | None = None
        #: What of the answer is not printed for good yet, and whether something is.
        self._text, self._begun = "", False
        self._is_thinking = False
        #: Whether the model has said something in this round that is shown.
        self._has_said = False
        #: Whether the run has ended, so that nothing is waited for any more.
        self._is_over = False
        self._calls = Calls()

    def show(self, event: object) -> None:
        """Show what happened."""
        if isinstance(event, Note):
            if not (self._text or self._is_thinking or self._is_over):
                self._wait(event.message)
        elif isinstance(event, Asking):
            self._settle()
            self._has_said = False
        elif isinstance(event, Said):
            self._say(event)
        elif isinstance(event, Calling):
            self._call(event.step)
        elif isinstance(event, Called):
            self._outcome(event.step)
        elif isinstance(event, Ended):
            self._end(event.run)

    def close(self) -> None:
        """Print what there is of the answer; leave the screen in order, for what comes next."""
        self._settle()
        self._is_over = False

    def _say(self, said: Said) -> None:
        if said.thinking:
            if not self._is_thinking:
                self._settle()
            self._is_thinking = True
            self._console.print(Text(clean(said.thinking)), style="dim", end="", soft_wrap=True)
        if said.content and not self._as_data:
            if self._is_thinking:
                self._settle()
            self._has_said = True
            self._text += clean(said.content)
            if "\n" in said.content:
                self._print_blocks()
            if self._text.strip():
                self._draw(Tail(self._text, self._console))

    def _print_blocks(self) -> None:
        """Print the blocks that nothing can change any more."""
        end = settled(self._text)
        if end:
            done, self._text = self._text[:end], self._text[end:]
            self._print(done)

    def _print(self, text: str) -> None:
        if not text.strip():
            return
        self._still()
        if self._begun:
            self._console.print()
        self._begun = True
        self._console.print(markdown(text))

    def _settle(self) -> None:
        """Print what is left for good, so that something else can follow."""
        if self._is_thinking:
            self._is_thinking = False
            self._console.print("\n")
        self._print(self._text)
        self._still()
        self._text, self._begun = "", False

    def _call(self, step: Step) -> None:
        self._settle()
        self._line(self._calls.begun(step), "cyan")
        self._wait(step.name)

    def _outcome(self, step: Step) -> None:
        self._settle()
        *call, told = self._calls.ended(step)
        for line in call:
            self._line(line, "cyan")
        self._line(told, "dim" if step.error is None else "dim red")
        if self._verbose and step.result:
            self._line(clean(step.result[:RESULT]), "dim")

    def _end(self, run: Run) -> None:
        self._is_over = True
        if self._as_data:
            self._still()
            write(sys.stdout, answer_text(run))
        elif not self._has_said:
            self._text = clean(run.answer)
        self._settle()
        for line in remarks(run, verbose=self._verbose):
            self._line(line, "dim")

    def _line(self, text: str, style: str) -> None:
        self._console.print(Text(text), style=style, soft_wrap=True)

    def _wait(self, message: str) -> None:
        told = Text(printable(message), style="dim", no_wrap=True, overflow="ellipsis")
        self._draw(Spinner("dots", told))

    def _draw(self, what: Any) -> None:
        if self._live is None:
            self._live = Live(
                what,
                console=self._console,
                transient=True,
                refresh_per_second=10,
                redirect_stdout=False,  # others write from other threads, and not into this
                redirect_stderr=False,
            )
            self._live.start()
        else:
            self._live.update(what)

    def _still(self) -> None:
        """Take away what is drawn and not printed."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

"""What is seen of a run where no terminal is: the answer alone on stdout."""

from __future__ import annotations

import sys

from ..agent.events import Called, Calling, Ended, Run
from ._words import RESULT, Calls, answer_text, clean, remarks, write


class Plain:
    """The answer on stdout, when it is whole; calls and warnings on stderr."""

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        self._verbose = verbose
        self._quiet = quiet
        self._calls = Calls()

    def show(self, event: object) -> None:
        """Show what happened."""
        if self._quiet:
            return
        if isinstance(event, Calling):
            self._tell(self._calls.begun(event.step))
        elif isinstance(event, Called):
            for line in self._calls.ended(event.step):
                self._tell(line)
            if self._verbose and event.step.result:
                self._tell(clean(event.step.result[:RESULT]))
        elif isinstance(event, Ended):
            self._end(event.run)

    def close(self) -> None:
        """Leave the screen in order, whatever was interrupted."""

    def _end(self, run: Run) -> None:
        write(sys.stdout, answer_text(run))
        if self._verbose and run.thinking:
            self._tell(f"[thinking]\n{clean(run.thinking)}")
        for line in remarks(run, verbose=self._verbose):
            self._tell(line)

    def _tell(self, text: str) -> None:
        write(sys.stderr, text)

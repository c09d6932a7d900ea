"""What the user types: lines, texts of several lines, and the history of both."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ._words import CONSENT, call_line

if TYPE_CHECKING:
    from ._engine import Question

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]
try:
    import readline
except ImportError:  # Windows
    readline = None  # type: ignore[assignment]

#: Begins and ends a text of several lines.
QUOTES = '"""'
#: Most lines that the history keeps.
KEPT = 1000


class Lines:
    """The lines that the user types; the history is kept in `file`, if there is one."""

    def __init__(self, file: Path | None) -> None:
        self._file = file if readline else None
        if self._file:
            with suppress(OSError):  # damaged, or gone meanwhile: then there is no history
                readline.read_history_file(self._file)
            readline.set_history_length(KEPT)

    def read(self) -> str:
        """Return the next message: a line, or several between triple quotes.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C; what was typed of it is dropped.
        """
        text = self._line(">>> ").strip()
        if not text.startswith(QUOTES):
            return text
        text = text.removeprefix(QUOTES)
        while not text.endswith(QUOTES):
            text += "\n" + self._line("... ").rstrip()
        return text.removesuffix(QUOTES).strip("\n")

    def _line(self, prompt: str) -> str:
        if not sys.stdout.isatty():  # the answers go elsewhere, the user is still here
            sys.stderr.write(prompt)
            sys.stderr.flush()
            prompt = ""
        before = readline.get_current_history_length() if readline else 0
        line = input(prompt)
        if self._file:
            with suppress(OSError):
                new = readline.get_current_history_length() - before
                readline.append_history_file(new, self._file)
        return line


def history_file(folder: Path) -> Path | None:
    """Return where the history of a user is kept, or None where nothing can be kept.

    Nobody else can read it: the file is made with mode 0600.
    """
    if not folder.is_absolute():  # a user without a home
        return None
    file = folder / "history"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        file.chmod(0o600)
    except OSError:
        return None
    return file


def ask(question: Question) -> None:
    """Ask the user about a call, and let the work go on with the answer."""
    if termios is not None:  # what was typed before the question is no answer to it
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    sys.stderr.write(f"{call_line(question.step, CONSENT)} may change or delete. Make it? [y/N] ")
    sys.stderr.flush()
    question.answer(agreed=sys.stdin.readline().strip().lower() in ("y", "yes"))

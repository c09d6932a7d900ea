"""A conversation at a terminal: the user types, the model answers, until the user leaves."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import OllamaMCPError
from ..settings import state_folder
from ._lines import Lines, history_file
from ._waiting import watched
from ._words import failure, write
from .run import answer

if TYPE_CHECKING:
    from ..agent.events import Task
    from ._engine import Engine
    from ._plain import Plain
    from ._terminal import Terminal

HELP = """\
/bye       end (so does Ctrl-D)
/clear     forget what was said
/servers   the MCP servers, and which of them are used here
/tools     their tools
/?         this list
\"\"\"        begins and ends a message of several lines
Ctrl-C     stops an answer
"""
LEAVE = "Ctrl-D or /bye ends the conversation."


class Dialogue:
    """One conversation; `task` says with whom, about what and how."""

    def __init__(self, engine: Engine, screen: Plain | Terminal, task: Task) -> None:
        self._engine = engine
        self._screen = screen
        self._task = task
        self._messages = list(task.messages)
        self._lines = Lines(history_file(state_folder()))

    def hold(self) -> None:
        """Answer what the user types until the user leaves."""
        write(sys.stderr, f"{self._task.model}. /? tells the commands.")
        while True:
            try:
                text = self._lines.read()
            except EOFError:
                write(sys.stdout, "\n")
                return
            except KeyboardInterrupt:
                write(sys.stderr, f"\n{LEAVE}")
                continue
            try:
                if text in ("/bye", "/exit"):
                    return
                self._take(text)
            except OllamaMCPError as error:
                write(sys.stderr, failure(error))
            except KeyboardInterrupt:
                write(sys.stderr, "\n[stopped]")

    def _take(self, text: str) -> None:
        """Do what a line says."""
        if text in ("/?", "/help"):
            write(sys.stderr, HELP)
        elif text == "/clear":
            self._messages = list(self._task.messages)
            write(sys.stderr, "[forgotten]")
        elif text == "/servers":
            self._show_servers(with_tools=False)
        elif text == "/tools":
            self._show_servers(with_tools=True)
        elif text.startswith("/") and " " not in text and "/" not in text[1:]:
            write(sys.stderr, f"There is no command {text}; /? tells those that there are.")
        elif text:
            self._ask(text)

    def _ask(self, text: str) -> None:
        """Let the model answer; what is stopped or fails leaves the conversation as it was."""
        messages = [*self._messages, {"role": "user", "content": text}]
        run = answer(self._engine, self._screen, replace(self._task, messages=messages))
        self._messages = run.messages

    def _show_servers(self, *, with_tools: bool) -> None:
        from .servers import show, survey

        rows = watched(
            self._engine,
            lambda _: survey(self._engine.app, self._task, connect=with_tools),
            "starting the servers" if with_tools else "looking",
        )
        show(rows, with_tools=with_tools)

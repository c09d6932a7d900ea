"""Ask a local model, or talk with it; it may use the tools of other MCP servers.

Without a prompt, and at a terminal, it is a conversation: /? tells its commands. What is piped
in stands before the prompt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from ..agent.events import Run, Task
    from ..settings import Settings
    from ._engine import Engine
    from ._plain import Plain
    from ._terminal import Terminal

#: Settings that are flags of this command too.
SETTINGS = (
    "ollama_host",
    "roots",
    "servers_file",
    "tool_timeout",
    "allow_destructive",
    "max_context",
    "auto_pull",
    "openai_base_url",
    "log_level",
)
#: Exit statuses.
ANSWERED, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="name of the model, an alias or a profile")
    add("prompt", metavar="PROMPT", nargs="*", help="what to ask; none for a conversation")
    add(
        "--tools",
        metavar="PATH",
        type=Path,
        help="folder that it is about; enables the servers whose rules it fits, with their tools",
    )
    add(
        "--server",
        dest="use",
        metavar="NAME",
        action="append",
        help="use this configured server, whatever its rule says; may be repeated",
    )
    add("--format", metavar="SCHEMA", help="json, a JSON Schema, or a file that holds one")
    add("--system", metavar="TEXT", help="system message")
    add("--image", metavar="PATH", action="append", default=[], help="picture; may be repeated")
    add("--max-rounds", metavar="N", type=int, default=15, help="most turns of the model (15)")
    add("--json", dest="as_json", action="store_true", help="print one JSON object, with the steps")
    add("--verbose", action="store_true", help="tell thoughts, results and tokens too")


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status.

    Raises:
        OllamaMCPError: it failed.
        KeyboardInterrupt: the user broke it off.
    """
    from ._task import first_task, piped, user_message

    if arguments.tools is not None:
        settings = settings.model_copy(update={"roots": (*settings.roots, arguments.tools)})
    prompt = " ".join([part for part in (piped(), *arguments.prompt) if part])
    is_dialogue = not prompt.strip()
    is_here = sys.stdin is not None and sys.stdin.isatty()
    if is_dialogue and (arguments.as_json or arguments.image or not is_here):
        sys.stderr.write("ollama-mcp-server run: there is no prompt\n")
        return USAGE
    if arguments.max_rounds < 1:
        sys.stderr.write("ollama-mcp-server run: --max-rounds must be at least 1\n")
        return USAGE
    from ._engine import Engine

    task = first_task(arguments)
    screen = screen_for(arguments)
    with Engine(settings) as engine:
        if is_dialogue:
            from ._dialogue import Dialogue

            Dialogue(engine, screen, task).hold()
            return ANSWERED
        task.messages.append(user_message(engine, prompt, arguments.image))
        run = answer(engine, screen, task)
    if arguments.as_json:
        sys.stdout.write(json.dumps(as_object(run), ensure_ascii=False, indent=2) + "\n")
    return ANSWERED if run.stop_reason == "answered" else FAILED


def answer(engine: Engine, screen: Plain | Terminal, task: Task) -> Run:
    """Let the model work, show it, and return what came of it."""
    from ._engine import Question
    from ._lines import ask

    def show(event: object) -> None:
        if isinstance(event, Question):
            screen.close()
            ask(event)
        else:
            screen.show(event)

    is_here = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    try:
        return engine.run(task, show, can_ask=is_here)
    finally:
        screen.close()


def screen_for(arguments: argparse.Namespace) -> Plain | Terminal:
    """Return what shows the answer where stdout leads."""
    from ._plain import Plain

    if arguments.as_json or not sys.stdout.isatty():
        return Plain(verbose=arguments.verbose, quiet=arguments.as_json)
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_dumb_terminal:
        return Plain(verbose=arguments.verbose)
    from ._terminal import Terminal

    as_data = arguments.format is not None
    return Terminal(console, verbose=arguments.verbose, as_data=as_data)


def as_object(run: Run) -> dict[str, Any]:
    """Return a run as the object that `--json` prints."""
    steps = [
        {
            "round": step.round,
            "server": step.server,
            "tool": step.tool,
            "arguments": step.arguments,
            **({"result": step.result} if step.error is None else {"error": step.error}),
            "ms": step.ms,
        }
        for step in run.steps
    ]
    return {
        "answer": run.answer,
        "data": run.data,
        "steps": steps,
        "rounds": run.rounds,
        "usage": {
            "prompt_tokens": run.prompt_tokens,
            "completion_tokens": run.completion_tokens,
            "context": run.context,
        },
        "stop_reason": run.stop_reason,
        "model": run.model,
        "mode": run.mode,
        "warnings": run.warnings,
    }

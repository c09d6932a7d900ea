"""The flags of the command: one for each setting, and what is said of wrong ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from textwrap import fill
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__

if TYPE_CHECKING:
    from .settings import Settings

ABOUT = """\
MCP server for a local Ollama daemon. An MCP host (Claude Desktop, Claude Code, VS Code, Cursor, …)
starts it and speaks to it over stdin and stdout; with --transport http it serves many."""

#: What else it does than serve: each is a module of `commands`, which is imported when it is used.
COMMANDS = {
    "run": "ask a local model, or talk with it; it may use other MCP servers' tools",
    "servers": "show the MCP servers that models may use, and their tools",
    "install": "enter the server in an MCP client's own file, and see that it answers there",
    "uninstall": "take it out of an MCP client's file again",
    "keys": "make, list and remove the keys with which clients call it over HTTP",
    "doctor": "show what works here, and what mends the rest",
    "completion": "print what lets a shell complete all this: bash, zsh or fish",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser: a flag for each setting that is no secret, with its own description."""
    from .settings import Settings, is_secret, variable

    secrets = ", ".join(variable(name) for name in Settings.model_fields if is_secret(name))
    listed = "\n".join(f"  {name:<11}{told}" for name, told in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="ollama-mcp-server",
        usage="%(prog)s [option …]\n       %(prog)s COMMAND …",
        description=f"{ABOUT}\n\ncommands, each with a --help of its own:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=fill(
            "Each option can also be set by the variable behind it, or in "
            f"~/.config/ollama-mcp-server/config.toml. Secrets only there: {secrets}."
        ),
    )
    made.add_argument("--version", action="version", version=f"ollama-mcp-server {__version__}")
    add_flags(made, Settings.model_fields)
    return made


def command_parser(name: str) -> tuple[Any, argparse.ArgumentParser]:
    """Return the module of a command, and its parser: its own arguments, and settings as flags."""
    command = import_module(f".commands.{name}", __package__)
    made = argparse.ArgumentParser(
        prog=f"ollama-mcp-server {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Every setting of the server counts here too, as a variable or in its file.",
    )
    command.add_arguments(made)
    add_flags(made.add_argument_group("settings"), command.SETTINGS)
    return command, made


def add_flags(to: argparse._ActionsContainer, names: Iterable[str]) -> None:
    """Add a flag for each of the settings that is no secret."""
    from .settings import Settings, is_secret, variable

    for name in names:
        if is_secret(name):
            continue  # on a command line it would stand in the list of processes
        field = Settings.model_fields[name]
        told = f"{field.description} [{variable(name)}]".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        if name == "roots":
            to.add_argument("--root", dest=name, action="append", metavar="…", help=told)
        elif field.annotation is bool:
            to.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, help=told)
        else:
            to.add_argument(flag, dest=name, metavar="…", help=told)


def read_settings(argv: Sequence[str] | None) -> Settings:
    """Return the settings from flags, environment and file; a wrong one ends the process."""
    arguments = parser().parse_args(argv)
    return settings_of(arguments, vars(arguments))


def settings_of(arguments: argparse.Namespace, names: Iterable[str]) -> Settings:
    """Return the settings: the arguments of these names over environment and file.

    A wrong one ends the process.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from .faults import sentence, words
    from .settings import Settings, variable

    given = {name: getattr(arguments, name) for name in names}
    if given.get("ollama_host") and not given.get("hosts"):
        given["hosts"] = "{}"  # the flag holds, also over hosts of the environment or the file
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        told = []
        for fault in error.errors(include_url=False, include_input=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            known = name in Settings.model_fields
            what = "no such setting" if fault["type"] == "extra_forbidden" else words(fault)
            told.append(sentence(variable(name) if known else name, what))
        fail("; ".join(told))
    except (SettingsError, ValueError) as error:  # a file that is no TOML, a value that is no JSON
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Say on stderr what is wrong, and end the process with status 2."""
    sys.stderr.write(f"ollama-mcp-server: {message}\n")
    raise SystemExit(2)

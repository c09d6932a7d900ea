"""The command line: parse, print, exit. Every heavy import is inside its command."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from . import __version__

if TYPE_CHECKING:
    from types import FrameType

    from .settings import Settings

ABOUT = """\
MCP server for a local Ollama daemon. An MCP host (Claude Desktop, Claude Code, VS Code, Cursor, …)
starts it and speaks to it over stdin and stdout; with --transport http it serves many."""

AT_A_TERMINAL = """\
ollama-mcp-server {version}: an MCP server, waiting for an MCP client on stdin.
It is meant to be started by a host, for example:
  claude mcp add ollama -- uvx ollama-mcp-server
For a server of its own: ollama-mcp-server --transport http. All options: --help. End: Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; ends the process."""
    end_at_signals()
    gc.disable()  # collecting while modules are imported costs a tenth of the start
    from .settings import quiet_the_frame

    settings = read_settings(argv)
    quiet_the_frame(settings.log_level)
    level = settings.log_level.upper()
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Other libraries log requests and answers at DEBUG, and httpx every URL at INFO.
    logging.getLogger().setLevel("INFO" if settings.log_level == "debug" else level)
    logging.getLogger("ollama_mcp_server").setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    serve(settings)


def end_at_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process at once, without a traceback.

    asyncio leaves stdio deaf to Ctrl-C until a line comes (python-sdk#3551), and as PID 1 of a
    container a process without a handler ignores SIGTERM. The open sockets close with the
    process, and the daemon stops what it was asked. Over HTTP, uvicorn's own handlers come first.
    """

    def end(number: int, _: FrameType | None) -> None:
        os._exit(128 + number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def serve(settings: Settings) -> None:
    """Serve until stdin closes, or a signal comes."""
    from .auth import refusal_to_bind

    if settings.transport == "http" and (refusal := refusal_to_bind(settings)):
        fail(refusal)
    if settings.transport == "stdio" and sys.stdin.isatty():
        print(AT_A_TERMINAL.format(version=__version__), file=sys.stderr)
    from . import transport
    from .app import App
    from .server import build_server

    app = App(settings)
    try:
        with transport.stdout_spared():
            server = build_server(app)
    except ValueError as error:
        fail(str(error))
    gc.freeze()
    gc.enable()
    if settings.transport == "stdio":
        transport.serve_stdio(server)
    else:
        transport.serve_http(server, app)


def parser() -> argparse.ArgumentParser:
    """Return the parser: a flag for each setting that is no secret, with its own description."""
    from .settings import Settings, is_secret, variable

    made = argparse.ArgumentParser(
        prog="ollama-mcp-server",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Each option can also be set by the variable behind it, or in\n"
        "~/.config/ollama-mcp-server/config.toml. Secrets only there: OLLAMA_API_KEY,\n"
        "OLLAMA_MCP_AUTH_TOKEN, OLLAMA_MCP_HEADERS, OLLAMA_MCP_STATE_URL.",
    )
    made.add_argument("--version", action="version", version=f"ollama-mcp-server {__version__}")
    for name, field in Settings.model_fields.items():
        if is_secret(name):
            continue  # on a command line it would stand in the list of processes
        told = f"{field.description} [{variable(name)}]".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        if name == "roots":
            made.add_argument("--root", dest=name, action="append", metavar="…", help=told)
        elif field.annotation is bool:
            made.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, help=told)
        else:
            made.add_argument(flag, dest=name, metavar="…", help=told)
    return made


def read_settings(argv: Sequence[str] | None) -> Settings:
    """Return the settings from flags, environment and file; a wrong one ends the process."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from .faults import sentence, words
    from .settings import Settings, variable

    flags = {
        name: value for name, value in vars(parser().parse_args(argv)).items() if value is not None
    }
    try:
        return Settings(**flags)
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
    print(f"ollama-mcp-server: {message}", file=sys.stderr)
    raise SystemExit(2)

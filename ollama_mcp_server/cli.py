"""The command line: parse, print, exit. Every heavy import is inside its command."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from . import __version__
from .flags import COMMANDS, command_parser, fail, read_settings, settings_of

if TYPE_CHECKING:
    from socket import socket
    from types import FrameType

    from .settings import Settings

AT_A_TERMINAL = """\
ollama-mcp-server {version}: an MCP server, waiting for an MCP client on stdin.
It is meant to be started by a host, for example:
  claude mcp add ollama -- uvx ollama-mcp-server
For a server of its own: ollama-mcp-server --transport http. All options: --help. End: Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; ends the process."""
    end_at_signals()
    gc.disable()  # collecting while modules are imported costs a tenth of the start
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        raise SystemExit(run_command(argv[0], argv[1:]))
    settings = read_settings(argv)
    prepare(settings)
    serve(settings)


def prepare(settings: Settings) -> None:
    """Set up what must be before FastMCP is imported, and the log."""
    from .settings import quiet_the_frame

    quiet_the_frame(settings.log_level)
    level = settings.log_level.upper()
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Other libraries log requests and answers at DEBUG, and httpx every URL at INFO.
    logging.getLogger().setLevel("INFO" if settings.log_level == "debug" else level)
    logging.getLogger("ollama_mcp_server").setLevel(level)
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)


def run_command(name: str, argv: Sequence[str]) -> int:
    """Run one of the commands; returns the exit status."""
    command, made = command_parser(name)
    arguments = made.parse_intermixed_args(argv)
    settings = settings_of(arguments, command.SETTINGS)
    prepare(settings)
    from .errors import OllamaMCPError

    gc.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a model may say what a terminal cannot show
    try:
        return int(command.main(arguments, settings))
    except OllamaMCPError as error:
        from .commands._words import failure

        print(failure(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # who read has read enough; nothing may be written at the exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


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


def has_keys(settings: Settings) -> bool:
    """Return whether HTTP asks for keys; what is wrong with them is said."""
    from .errors import OllamaMCPError
    from .gateway.access.keys import read_keys

    try:
        return read_keys(settings).required
    except OllamaMCPError as error:
        fail(str(error))


def serve(settings: Settings) -> None:
    """Serve until stdin closes, or a signal comes."""
    if settings.transport == "http":
        from .auth import refusal_to_bind

        if refusal := refusal_to_bind(settings, has_keys(settings)):
            fail(refusal)
        if settings.workers > 1:
            from .transport.workers import serve_together

            raise SystemExit(serve_together(settings, work))
    elif sys.stdin.isatty():
        print(AT_A_TERMINAL.format(version=__version__), file=sys.stderr)
    serve_here(settings)


def work(settings: Settings, listener: socket) -> None:
    """Serve as one process of several, in one that was started for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells all; who started us decides
    gc.disable()
    prepare(settings)
    serve_here(settings, listener)


def serve_here(settings: Settings, listener: socket | None = None) -> None:
    """Serve in this process."""
    from .app import App
    from .server import build_server
    from .transport.stdio import serve_stdio, stdout_spared

    app = App(settings)
    try:
        with stdout_spared():
            server = build_server(app)
    except ValueError as error:
        fail(str(error))
    gc.freeze()
    gc.enable()
    if settings.transport == "stdio":
        serve_stdio(server)
        return
    from .transport.serving import serve_http

    serve_http(server, app, listener)

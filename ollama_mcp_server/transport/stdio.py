"""Serving the host that started us."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import anyio
import fastmcp.server.mixins.transport as frame_stdio
from fastmcp import FastMCP

from .lines import stdio

logger = logging.getLogger(__name__)


@contextmanager
def stdout_spared() -> Iterator[None]:
    """Send to stderr what tool modules, or children of theirs, print while they are imported.

    Once it serves, the SDK does the same.
    """
    sys.stdout.flush()
    wire = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(wire, 1)
        os.close(wire)


def serve_stdio(server: FastMCP[Any]) -> None:
    """Serve one host over stdin and stdout until stdin closes."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a tool prints comes to stderr at once
    if hasattr(frame_stdio, "stdio_server"):
        frame_stdio.stdio_server = stdio
    else:
        logger.info("this FastMCP has no hook for stdin; what is no message is not answered")
    anyio.run(lambda: server.run_stdio_async(show_banner=False))
    sys.stderr.flush()
    os._exit(0)  # a thread may still sit in a read of stdin, and would hold the process

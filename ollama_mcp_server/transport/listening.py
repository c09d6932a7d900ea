"""The address that HTTP is served at."""

import socket
import sys

from ..settings import Settings

#: Connections that may wait until they are taken, as uvicorn has it.
BACKLOG = 2048


def bound(settings: Settings) -> socket.socket:
    """Return a socket that listens, for several processes.

    Raises:
        OSError: the address is taken, or not this machine's.
    """
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, settings.port), family=family, backlog=BACKLOG)


def announce(listener: socket.socket, path: str) -> None:
    """Say where the MCP endpoint is."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"ollama-mcp-server: http://{shown}:{port}{path}\n")
    sys.stderr.flush()

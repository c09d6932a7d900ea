"""Long calls as tasks of MCP 2026-07-28, for the clients that ask for them (the extra `tasks`).

FastMCP's engine keeps the tasks, in memory or in a Valkey: a call is written down, a worker in this
process or in another takes it up, and the client asks how far it is. What a worker does is the call
itself, through all that surrounds calls: arguments, hosts, keys and limits count there, and errors
are told, as for a call that is waited for. Where nobody asks for a task nothing of this is on the
way. The engine takes a while to load, and so this package is imported only where tasks are on.
"""

from typing import Any

from fastmcp import FastMCP

from ..settings import Settings
from .asked import Asked
from .engine import Tasks

__all__ = ["Tasks", "add_tasks"]


def add_tasks(server: FastMCP[Any], settings: Settings) -> Tasks:
    """Give a server tasks; each tool is still to be passed through what is returned (`offer`)."""
    tasks = Tasks(settings)
    server.add_extension(tasks)
    server.middleware.insert(0, Asked())
    return tasks

"""FastMCP's server, spared what each start or call would pay for and nothing here needs."""

import logging
from typing import Any

from fastmcp import FastMCP

logger = logging.getLogger(__name__)


class Frame(FastMCP[Any]):
    """FastMCP's server.

    Each list asks the state of its session whether that hides something. The library that keeps
    such state takes a fifth of a start to import, so it is imported when something is kept first.
    """

    _keeps = False

    @property
    def _state_store(self) -> Any:
        return super()._state_store if self._keeps else _NothingKept(self)

    def skip_the_list_before_each_call(self, schemas: dict[str, Any]) -> None:
        """Spare the SDK a tools/list before each call over 2026-07-28 HTTP (python-sdk#3565)."""
        low_level: Any = getattr(self, "_mcp_server", None)
        if hasattr(low_level, "get_tool_input_schema"):
            low_level.get_tool_input_schema = schemas.get
        else:
            logger.info(
                "this FastMCP has no hook for tool schemas; calls over HTTP cost a list more"
            )


class _NothingKept:
    """The state of sessions before anything is kept in it."""

    def __init__(self, server: Frame) -> None:
        self.server = server

    async def get(self, key: str) -> None:
        """Return that there is nothing."""

    def __getattr__(self, name: str) -> Any:
        """Do anything else with the real one, from now on."""
        self.server._keeps = True
        return getattr(self.server._state_store, name)

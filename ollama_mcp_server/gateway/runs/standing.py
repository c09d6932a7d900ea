"""Whether servers are enabled for those who name none."""

from __future__ import annotations

import logging

import anyio

from ...agent.definitions.configuration import judged
from ...errors import InvalidArgument
from ...settings import Settings, servers_file
from ..access.keys import looks_of

logger = logging.getLogger(__name__)


class Standing:
    """The answer, kept until the file of servers changes: every chat asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = settings.servers_file or servers_file()
        self._looks: tuple[int, ...] | None = None
        self._any: bool | None = None

    async def any(self) -> bool:
        """Return whether a rule enables a server for a task without a path."""
        looks = None if self._settings.servers else looks_of(self._file)
        if self._any is None or looks != self._looks:
            self._looks = looks
            self._any = await anyio.to_thread.run_sync(self._judged)
        return self._any

    def _judged(self) -> bool:
        try:
            return any(verdict.enabled for verdict in judged(self._settings, None))
        except InvalidArgument as error:  # it must not stop those who want no tools
            logger.error("no MCP server is enabled: %s", error)
            return False

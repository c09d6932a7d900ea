"""A short look at the library, for those who must not wait: lists, menus, completion."""

import anyio

from .app import App
from .daemon.installed import only_looking
from .daemon.wire import Part
from .errors import OllamaMCPError, TimedOut

#: Seconds that a list or a menu waits for the daemon.
PATIENCE = 2.0


async def look(app: App, *, fresh: bool = False) -> list[Part]:
    """Return the rows of the installed models; `fresh` ones show at once what others changed.

    Raises:
        OllamaMCPError: the daemon does not tell, or not within PATIENCE.
    """
    with anyio.move_on_after(PATIENCE), only_looking():
        if fresh:
            app.catalog.forget()
        return await app.catalog.installed()
    raise TimedOut(f"Ollama at {app.settings.address.url} did not answer within {PATIENCE:g} s")


async def glance(app: App) -> list[Part]:
    """Return the rows of the installed models; none where the daemon does not tell."""
    try:
        return await look(app)
    except OllamaMCPError:
        return []

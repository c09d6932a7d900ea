"""The servers that the settings name, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import OllamaMCPError
from ...settings import environment, servers_file
from ..guard import bounds
from . import rules
from .documents import Definition, read_definitions

if TYPE_CHECKING:
    from ...settings import Settings


def configured(settings: Settings) -> list[Definition]:
    """Return the servers that are configured; none where they are switched off.

    Raises:
        InvalidArgument: what configures them is broken; it says where.
    """
    if settings.disable_servers:
        return []
    given = settings.servers.get_secret_value() if settings.servers else None
    file = settings.servers_file or servers_file()
    return read_definitions(given, file if file.is_absolute() else None)


def judged(settings: Settings, path: Path | None) -> list[rules.Verdict]:
    """Return which servers a task about `path` gets if it names none, and why not the others."""
    return rules.judge(configured(settings), path, environment())


def faults(settings: Settings) -> list[str]:
    """Return what is wrong with the servers, as far as it shows without starting any."""
    try:
        definitions = configured(settings)
    except OllamaMCPError as error:
        return [str(error)]
    found = []
    for definition in definitions:
        try:
            bounds.check_command(bounds.expanded(definition, environment()))
        except OllamaMCPError as error:
            found.append(f"{definition.name}: {error}")
    return found

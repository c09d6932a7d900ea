"""Data by the way that leads to it, whatever format it stands in."""

from __future__ import annotations

from typing import Any, NoReturn, TypeAlias

from ..errors import InvalidArgument

#: Where a value stands in the data: the names that lead to it.
Way: TypeAlias = "tuple[str, ...]"
#: Stands for what is not there.
MISSING: Any = object()


def found(data: Any, way: Way) -> Any:
    """Return what stands at a way, or MISSING."""
    for name in way:
        if not isinstance(data, dict) or name not in data:
            return MISSING
        data = data[name]
    return data


def merged(data: Any, way: Way, value: Any) -> Any:
    """Return the data with a value put at a way; objects are merged, all else is replaced."""
    if way:
        held = data if isinstance(data, dict) else {}
        return {**held, way[0]: merged(held.get(way[0], MISSING), way[1:], value)}
    if isinstance(data, dict) and isinstance(value, dict):
        for name, part in value.items():
            data = merged(data, (name,), part)
        return data
    return value


def without(data: Any, way: Way) -> Any:
    """Return the data without what stands at a way."""
    if way[1:]:
        return {**data, way[0]: without(data[way[0]], way[1:])}
    return {name: value for name, value in data.items() if name != way[0]}


def refuse(where: str, way: Way) -> NoReturn:
    """Say that what must hold the entry cannot; raises InvalidArgument."""
    what = f"{way[-1]!r} is" if way else "this is"
    raise InvalidArgument(
        f"{where}: {what} something else than named values, so none can be added",
        "Mend that first; nothing was changed",
    )

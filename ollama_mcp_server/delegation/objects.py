"""Objects in the JSON of a request, where there should be some."""

from typing import Any

from ..errors import InvalidArgument


def objects(value: Any, name: str) -> list[dict[str, Any]]:
    """Return a list of objects.

    Raises:
        InvalidArgument: it is none.
    """
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    raise InvalidArgument(f"{name} must be a list of objects")


def an_object(value: Any) -> dict[str, Any]:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}

"""How a resource is written."""

from ..daemon.results import Result

#: The type of every resource of ours.
JSON = "application/json"


def text_of(said: Result) -> str:
    """Return a result as JSON, without nulls, its fields in their order."""
    return said.model_dump_json(exclude_none=True)

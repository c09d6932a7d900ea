"""What the texts of several prompts share."""

import json
from typing import Any

from ..errors import InvalidArgument


def call(tool: str, **arguments: Any) -> str:
    """Return the call of a tool as a host's model can copy it; empty arguments are left out."""
    given = {name: value for name, value in arguments.items() if value not in ("", [], None)}
    return f"{tool} {json.dumps(given, ensure_ascii=False)}"


def paths(text: str) -> list[str]:
    """Return the paths of a text: one a line, or separated by commas, or a JSON list."""
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise InvalidArgument(
                f"files is not valid JSON: {error}", "Give paths separated by commas"
            ) from None
        parts = [str(part) for part in listed]
    else:
        parts = text.replace(",", "\n").splitlines()
    return [part.strip() for part in parts if part.strip()]


def quoted(tag: str, text: str) -> str:
    """Return a text between tags, so that it is not taken for an instruction."""
    return f"<{tag}>\n{text.strip()}\n</{tag}>"


#: What to do where the files are too long, or may not be read.
TOO_LONG = (
    "If it answers context_overflow, call it for fewer files at a time and put the parts together."
)
REFUSED = "If a path is refused, tell me what the error says to do."

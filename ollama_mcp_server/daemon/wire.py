"""What a part of the daemon's answer is, for those who need not the client."""

from typing import Any

#: One object of the daemon's, as it was sent.
Part = dict[str, Any]


def is_final(part: Part) -> bool:
    """Return whether a stream may end with this part: an answer, a transfer, a rendered prompt."""
    return bool(part.get("done") or part.get("status") == "success" or "_debug_info" in part)

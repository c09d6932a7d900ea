"""What a part of the daemon's answer is, for those who need not the client."""

import json
from typing import Any

#: One object of the daemon's, as it was sent.
Part = dict[str, Any]


def encode(body: Part) -> bytes:
    """Return `body` as JSON; a lone surrogate in a text raises UnicodeEncodeError."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def is_final(part: Part) -> bool:
    """Return whether a stream may end with this part: an answer, a transfer, a rendered prompt."""
    return bool(part.get("done") or part.get("status") == "success" or "_debug_info" in part)

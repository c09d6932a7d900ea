"""What a part of the daemon's answer is, for those who need not the client."""

import json
from typing import Any

#: One object of the daemon's, as it was sent.
Part = dict[str, Any]

#: Fields that are read without a look, and what they are in Ollama's answers, where not null.
KINDS: dict[str, type | tuple[type, ...]] = {
    "capabilities": list,
    "completed": int,
    "content": str,
    "details": dict,
    "digest": str,
    "done_reason": str,
    "embeddings": list,
    "eval_count": int,
    "logprobs": list,
    "message": dict,
    "model_info": dict,
    "models": list,
    "name": str,
    "prompt_eval_count": int,
    "response": str,
    "size": int,
    "status": str,
    "thinking": (str, dict),  # what a model thought, or how much it can be told to
    "tool_calls": list,
    "total": int,
}


def encode(body: Part) -> bytes:
    """Return `body` as JSON; a lone surrogate in a text raises UnicodeEncodeError."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def is_final(part: Part) -> bool:
    """Return whether a stream may end with this part: an answer, a transfer, a rendered prompt."""
    return bool(part.get("done") or part.get("status") == "success" or "_debug_info" in part)


def is_sound(part: Any) -> bool:
    """Return whether this is an object whose fields are what Ollama's are."""
    if not isinstance(part, dict):
        return False
    for name, value in part.items():
        if value is not None and not isinstance(value, KINDS.get(name, object)):
            return False
    inner = [part["message"]] if part.get("message") else []
    return all(map(is_sound, [*inner, *(part.get("models") or ())]))

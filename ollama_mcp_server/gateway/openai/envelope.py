"""What OpenAI's response has around its items."""

from __future__ import annotations

import time
import uuid

from ...agent.events import Run
from ...daemon.wire import Part
from ..runs.chat import Chat

#: Fields of a tool that are not told back.
_SECRET = ("authorization", "headers")


def envelope(chat: Chat, request: Part, output: list[Part]) -> Part:
    """Return a response that has just begun, with what its request says."""
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "model": chat.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": request.get("reasoning"),
        "store": False,
        "temperature": request.get("temperature"),
        "text": request.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": [
            {name: told for name, told in tool.items() if name not in _SECRET}
            for tool in request.get("tools") or []
        ],
        "top_p": request.get("top_p"),
        "truncation": "disabled",
        "usage": None,
        "metadata": request.get("metadata") or {},
    }


def usage(run: Run) -> Part:
    """Return the tokens of a run."""
    return {
        "input_tokens": run.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": run.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": run.prompt_tokens + run.completion_tokens,
    }


def new_id(kind: str) -> str:
    """Return an id as OpenAI writes them."""
    return f"{kind}_{uuid.uuid4().hex[:24]}"

"""The test models: small, real, deterministic enough, and in a namespace of their own.

All but one are SmolLM2-135M-Instruct behind different templates: Ollama takes the capabilities of a
model, and how it writes tool calls and thoughts, from its template.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from . import api, weights
from .steps import tell

CHAT = "testbed/chat:135m"
"""Completes: "What is the capital of France?" gives a text with Paris."""
TOOLS = "testbed/tools"
"""Also calls tools: "What is the weather in CITY?" with get_weather(city) gives that call."""
THINK = "testbed/think"
"""Also thinks: thinking and content are both there when asked for the capital of France."""
INSERT = "testbed/insert"
"""Also takes a `suffix`; its text is what it is."""
VISION = "testbed/vision"
"""Also sees: names the colour of a plain red, green, blue, yellow, white or black picture."""
EMBED = "testbed/embed:22m"
"""all-MiniLM-L6-v2: 384 floats, as published."""

# Greedy and bounded: at temperature 0 SmolLM2 can repeat itself for ever.
_PARAMETERS = {
    "temperature": 0,
    "seed": 1,
    "num_predict": 128,
    "num_ctx": 2048,
    "stop": ["<|im_start|>", "<|im_end|>"],
}


def _template(name: str) -> str:
    # the newline at the end of the file would change the prompt
    return Path(__file__).with_name("templates").joinpath(f"{name}.tmpl").read_text().strip()


def recipes() -> dict[str, dict[str, Any]]:
    """Return name -> fields of /api/create, in which `files` names entries of `weights.DIGESTS`."""
    chat: dict[str, Any] = {"files": ["chat"], "parameters": _PARAMETERS}
    return {
        CHAT: chat,
        TOOLS: {**chat, "template": _template("tools")},
        THINK: {**chat, "template": _template("think")},
        INSERT: {**chat, "template": _template("insert")},
        VISION: {**chat, "template": _template("vision"), "files": ["chat", "colours"]},
        EMBED: {"files": ["embed"], "parameters": {"num_ctx": 256}},
    }


def create(url: str, cache: Path) -> None:
    """Create those of the models that the daemon at `url` lacks or has from another recipe.

    Raises SetupError when a file cannot be had or the daemon refuses.
    """
    record = cache / "created.json"
    done: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    version, present = api.version(url), api.tags(url)
    todo = {}
    for name, recipe in recipes().items():
        key = _digest([version, name, recipe, weights.DIGESTS])
        full = name if ":" in name else f"{name}:latest"
        if present.get(full) is None or present[full] != done.get(key):
            todo[full] = (key, recipe)
    for name in sorted({file for _, recipe in todo.values() for file in recipe["files"]}):
        if not api.has_blob(url, weights.DIGESTS[name]):
            api.upload_blob(url, weights.DIGESTS[name], weights.find(name, cache))
    for full, (_, recipe) in todo.items():
        tell(f"creating {full}")
        files = {f"{file}.gguf": f"sha256:{weights.DIGESTS[file]}" for file in recipe["files"]}
        api.create(url, {"model": full, **recipe, "files": files})
    if todo:
        present = api.tags(url)
        done |= {key: present[full] for full, (key, _) in todo.items()}
        record.write_text(json.dumps(done, indent=1))
    weights.discard(cache)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

"""Local models that call tools, and what they need: what is named where none is installed.

Download, capabilities and licence were gathered until AS_OF from what is published of the models,
for the tag that is named. Memory is computed, or estimated where a model's layers are not known:
the file, a window of WINDOW tokens kept in 16 bits, and half a GB for buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

AS_OF = "2026-11-21"
#: Tokens of the window with which the memory is computed.
WINDOW = 8192
#: Of a computer's memory, what a model may take: the rest is for all else that runs there.
SHARE = 0.5


class Recommended(NamedTuple):
    """A model of Ollama's library that calls tools."""

    name: str
    #: As its page counts them; of a mixture of experts, those that work at once in brackets.
    parameters: str
    #: GB.
    download: float
    #: GB.
    memory: float
    #: What it does beside completing and calling tools.
    also: tuple[str, ...]
    licence: str


#: From the least memory to the most.
MODELS = (
    Recommended("qwen3:0.6b", "0.8B", 0.5, 2.0, ("thinking",), "Apache 2.0"),
    Recommended("qwen3:1.7b", "2.0B", 1.4, 2.8, ("thinking",), "Apache 2.0"),
    Recommended("llama3.2:3b", "3.2B", 2.0, 3.4, (), "Llama 3.2 Community"),
    Recommended("qwen3:4b", "4.0B", 2.5, 4.2, ("thinking",), "Apache 2.0"),
    Recommended("qwen2.5:7b", "7.6B", 4.7, 5.7, (), "Apache 2.0"),
    Recommended("llama3.1:8b", "8.0B", 4.9, 6.5, (), "Llama 3.1 Community"),
    Recommended("qwen3:8b", "8.2B", 5.2, 6.9, ("thinking",), "Apache 2.0"),
    Recommended("qwen3.5:9b", "9.7B", 6.6, 7.4, ("vision", "thinking"), "Apache 2.0"),
    Recommended("gemma4:e4b", "8.0B", 9.6, 10.4, ("vision", "thinking"), "Apache 2.0"),
    Recommended("qwen3:14b", "14.8B", 9.3, 11.1, ("thinking",), "Apache 2.0"),
    Recommended("gpt-oss:20b", "20.9B (3.6B)", 14.0, 14.7, ("thinking",), "Apache 2.0"),
    Recommended("qwen3.8:27b", "27.3B", 17.0, 18.1, ("vision", "thinking"), "Apache 2.0"),
    Recommended("qwen3:30b", "30.5B (3.3B)", 19.0, 20.3, ("thinking",), "Apache 2.0"),
    Recommended("llama3.3:70b", "70.6B", 43.0, 46.2, (), "Llama 3.3 Community"),
    Recommended("gpt-oss:120b", "116.8B (5.1B)", 65.0, 65.8, ("thinking",), "Apache 2.0"),
)
#: The one that runs nearly anywhere, and is fetched soon.
SMALL = MODELS[1]


def fitting(memory: int | None) -> Sequence[Recommended]:
    """Return the models that fit in a computer's memory (bytes), the largest first.

    There is always one: SMALL where the memory is not known, the smallest where none fits.
    """
    if memory is None:
        return [SMALL]
    room = memory * SHARE / 1e9
    return [model for model in reversed(MODELS) if model.memory <= room] or [MODELS[0]]

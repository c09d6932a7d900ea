"""What the daemon replies, read from the wire: lines, objects, refusals. None may do us harm."""

import json
from collections.abc import AsyncIterator

import httpx

from ..errors import DaemonError, OllamaMCPError
from .refusals import refused
from .wire import Part, is_sound

#: Longest line of a stream, in bytes; a longer one is garbage, or an attack on our memory.
MAX_LINE = 64 * 2**20
#: Most of a refusal that is read, in bytes.
MAX_REFUSAL = 2**16


async def lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the non-empty lines of an NDJSON body.

    httpx's own `aiter_lines` also splits at U+0085 and U+2028, which a model may write.

    Raises:
        DaemonError: a line is too long.
    """
    begun = bytearray()  # grows in place: a long line comes in thousands of pieces
    async for chunk in response.aiter_bytes():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            begun += end
            if begun.strip():
                yield bytes(begun)
            begun.clear()
        begun += rest
        if len(begun) > MAX_LINE:
            raise DaemonError(
                "the daemon sent a line without an end; this is no Ollama answer",
                "Check OLLAMA_HOST",
            )
    if begun.strip():
        yield bytes(begun)


async def refusal(response: httpx.Response, model: str) -> OllamaMCPError:
    """Return the error for a response that is none, of which no more is read than says why."""
    said = bytearray()
    async for chunk in response.aiter_bytes():
        said += chunk
        if len(said) > MAX_REFUSAL:
            break
    text = said.decode(errors="replace")  # whatever it says that its coding is
    return refused(response.status_code, text, model=model, headers=response.headers)


def parsed(line: bytes, model: str) -> Part:
    """Return the object that a line or a body holds; `model` is what was asked for.

    Raises:
        OllamaMCPError: it tells of an error, or is nothing that Ollama says.
    """
    try:
        part = json.loads(line)
    except (ValueError, RecursionError):
        part = None
    if not isinstance(part, dict):
        raise DaemonError(
            "the daemon's answer is not JSON; something between garbled it, or this is no Ollama",
            "Check OLLAMA_HOST and any proxy on the way",
        )
    if "error" in part:
        raise refused(200, line.decode(errors="replace"), model=model)
    if not is_sound(part):
        raise DaemonError(
            "the daemon's answer is not what Ollama answers; another program may listen there",
            "Check OLLAMA_HOST and any proxy on the way",
        )
    return part

"""Server-sent events, as the endpoints send them: a small reader of bytes."""

import re
from collections.abc import AsyncGenerator, AsyncIterable

from ...errors import DaemonError

#: Most bytes of one event; a longer one is garbage, or an attack on our memory.
MAX_EVENT = 16 * 2**20
_LINE_END = re.compile(rb"\r\n|\n|\r")


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[str, None]:
    """Yield the data of each event; chunks may end anywhere, within a character too.

    Comments and other fields are passed over. An event that the stream ends in is yielded as far
    as it came: some servers leave out the last empty line. Older versions of llama-server name
    the field of an error `error`; it is yielded as `{"error": …}`.

    Raises:
        DaemonError: an event is longer than any answer.
    """
    rest, data, size, after_cr = b"", list[str](), 0, False
    async for chunk in chunks:
        if after_cr and chunk[:1] == b"\n":  # the second half of a line's end
            chunk = chunk[1:]
            after_cr = False
        if not chunk:
            continue
        after_cr = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(rest + chunk)
        for line in lines:
            if not line and data:
                yield "\n".join(data)
                data, size = [], 0
            size += len(line)
            data += _data(line)
        if size + len(rest) > MAX_EVENT:
            raise DaemonError(
                "the endpoint sent an event without an end; this is no answer of a model",
                "Check OLLAMA_MCP_OPENAI_BASE_URL",
            )
    data += _data(rest)
    if data:
        yield "\n".join(data)


def _data(line: bytes) -> list[str]:
    """Return what a line adds to its event: one text, or nothing."""
    name, _, value = line.decode(errors="replace").lstrip("\ufeff").partition(":")
    value = value.removeprefix(" ")
    if name == "error":
        return [f'{{"error": {value}}}']
    return [value] if name == "data" else []

"""Why a foreign server failed, in words that tell no secret."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import anyio
from mcp import MCPError
from pydantic import ValidationError

from ...errors import OllamaMCPError
from .children import NotStarted

if TYPE_CHECKING:
    from ..definitions.documents import Definition

#: Characters that are told of an error, and that a value has at least that is taken for a secret.
TOLD, SECRET = 400, 6
#: What FastMCP's client says of any failure, before it says which.
_PREFIX = "Client failed to connect: "


async def failure(work: Awaitable[object], limit: float | None) -> str | None:
    """Do what a foreign server has a part in, within `limit` s; return why it failed, if it did."""
    try:
        with anyio.fail_after(limit):
            await work
    except OllamaMCPError as error:
        return " ".join(filter(None, (f"{error.message}.", error.hint)))
    except TimeoutError:
        return f"it did not answer within {limit:g} s" if limit else "it did not answer"
    except Exception as error:  # noqa: BLE001 - a foreign server's connect: anything may come
        return in_words(error)
    return None


def in_words(error: BaseException) -> str:
    """Return what an error says."""
    if isinstance(error.__cause__, NotStarted):
        return str(error.__cause__)
    if isinstance(error, ValidationError):
        return "it answered what is no MCP"
    text = error.message if isinstance(error, MCPError) else str(error).removeprefix(_PREFIX)
    return " ".join(text.split())[:TOLD] or type(error).__name__


def secrets_of(definition: Definition, ready: Definition, env: Mapping[str, str]) -> list[str]:
    """Return what no error may tell: values of variables, headers and queries, the longest first.

    `ready` is the definition with variables put in.
    """
    values = list(ready.env.values())
    if definition.enable_if and definition.enable_if.env_set:
        values.append(env.get(definition.enable_if.env_set, ""))
    for header in ready.headers.values():
        values += [header.get_secret_value(), *header.get_secret_value().split()]
    if ready.url:
        values += [value for _, value in parse_qsl(urlsplit(ready.url).query)]
    filled = zip(definition.args, ready.args, strict=True)
    values += [after for before, after in filled if before != after]
    # A folder is no secret, and an error without it would tell little.
    found = {value for value in values if len(value) >= SECRET and value[0] not in "/~"}
    return sorted(found, key=len, reverse=True)


def hidden(text: str, secrets: Sequence[str]) -> str:
    """Return a text without the secrets in it."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text

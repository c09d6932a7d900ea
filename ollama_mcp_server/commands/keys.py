"""Make, list and remove the keys with which applications call the server over HTTP.

add prints the new key, once: only its hash is kept. A running server knows at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from ..gateway.access.keyfile import Key
    from ..settings import Settings

#: Settings that are flags of this command too.
SETTINGS = ("keys_file", "log_level")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    from ..gateway.access.scopes import DEFAULT_SCOPES, SCOPES

    add = parser.add_argument
    add("action", choices=("add", "list", "remove"), help="what to do")
    add("name", metavar="NAME", nargs="?", help="of the key to add or remove")
    new = parser.add_argument_group("a new key")
    add = new.add_argument
    add(
        "--scopes",
        metavar="…",
        type=_names,
        default=DEFAULT_SCOPES,
        help=f"what it may, of {', '.join(SCOPES)}, separated by commas "
        f"(default {','.join(DEFAULT_SCOPES)})",
    )
    add("--models", metavar="…", type=_names, help="models it may use: qwen3:*,llama3.2 (all)")
    add("--rpm", metavar="N", type=int, help="requests a minute")
    add("--tpm", metavar="N", type=int, help="tokens a minute, of prompts and answers together")
    add("--concurrency", metavar="N", type=int, help="requests at a time")
    parser.add_argument("--json", dest="as_json", action="store_true", help="list as JSON")


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status.

    Raises:
        OllamaMCPError: a name is taken or there is none, or the file cannot be read or written.
    """
    from ..errors import InvalidArgument
    from ..gateway.access.keyfile import load, parse

    if (arguments.name is None) != (arguments.action == "list"):
        raise InvalidArgument(
            "list takes no name" if arguments.name else f"{arguments.action} whom? Give a name"
        )
    if settings.keys is not None:
        if arguments.action == "list":
            show(parse(settings.keys.get_secret_value(), "OLLAMA_MCP_KEYS"), arguments.as_json)
            return 0
        _say("OLLAMA_MCP_KEYS is set, and counts in place of the file")
    file = _file(settings)
    keys = load(file) if file.exists() else []
    if arguments.action == "list":
        show(keys, arguments.as_json)
    elif arguments.action == "add":
        add(file, keys, arguments)
    else:
        remove(file, keys, arguments.name)
    return 0


def add(file: Path, keys: list[Key], arguments: argparse.Namespace) -> None:
    """Make a key, keep it, and print it.

    Raises:
        OllamaMCPError: it is not what a key should be, its name is taken, or the file cannot be
            written.
    """
    from ..gateway.access.keyfile import added, make, save

    token, key = make(
        arguments.name,
        scopes=arguments.scopes,
        models=arguments.models,
        requests_per_minute=arguments.rpm,
        tokens_per_minute=arguments.tpm,
        concurrency=arguments.concurrency,
    )
    save(file, added(keys, key))
    sys.stdout.write(f"{token}\n")
    sys.stdout.flush()
    _say(f"this is the key {key.name}; it is not shown again (its hash is in {file})")
    if not keys:
        _say("from now on nobody is served over HTTP without a key")


def remove(file: Path, keys: list[Key], name: str) -> None:
    """Take a key away.

    Raises:
        OllamaMCPError: there is none of this name, or the file cannot be written.
    """
    from ..gateway.access.keyfile import removed, save

    left = removed(keys, name)
    save(file, left)
    if not left:
        _say(f"no key is left, so that none is served over HTTP: add one, or delete {file}")


def show(keys: list[Key], as_json: bool) -> None:
    """Print what the keys allow."""
    if as_json:
        rows = [key.model_dump(mode="json", exclude={"sha256"}, exclude_none=True) for key in keys]
        sys.stdout.write(json.dumps({"keys": rows}, ensure_ascii=False, indent=2) + "\n")
        return
    if not keys:
        _say("there are no keys: make one with `ollama-mcp-server keys add NAME`")
        return
    from ._tables import print_table

    print_table(
        ("NAME", "SCOPES", "MODELS", "RPM", "TPM", "CONCURRENCY", "MADE"),
        [
            (
                key.name,
                ",".join(key.scopes),
                "all" if key.models is None else ",".join(key.models),
                _number(key.requests_per_minute),
                _number(key.tokens_per_minute),
                _number(key.concurrency),
                (key.created or "")[:10],
            )
            for key in keys
        ],
    )


def _file(settings: Settings) -> Path:
    from ..errors import InvalidArgument
    from ..gateway.access.keys import where

    if (file := where(settings)) is None:
        raise InvalidArgument(
            "there is no home folder to keep keys in", "Name a file with OLLAMA_MCP_KEYS_FILE"
        )
    return file


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _number(limit: int | None) -> str:
    return "-" if limit is None else str(limit)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")

"""Which of the configured servers a task may use, and why not the others."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...delegation.inputs.paths import printable, shown
from ...errors import InvalidArgument, NotFound
from .documents import VARIABLE, Definition

NONE_MATCHED = "No MCP servers matched for --tools context"
#: What to do where there are none.
_CONFIGURE = f"Name some in ~/.ollama/mcp-servers.json, or in {VARIABLE}"
#: Servers that an error tells of.
_TOLD = 10


@dataclass(frozen=True)
class Verdict:
    """Whether a server is enabled, and the reason in words."""

    definition: Definition
    enabled: bool
    why: str


def judge(
    definitions: Sequence[Definition], path: Path | None, env: Mapping[str, str]
) -> list[Verdict]:
    """Return for each server whether its rule enables it for `path` and an environment."""
    verdicts = []
    for definition in definitions:
        enabled, reason = _judged(definition, path, env)
        prefix = "enabled" if enabled else "not enabled"
        verdicts.append(Verdict(definition, enabled, f"{prefix}: {reason}"))
    return verdicts


def _judged(definition: Definition, path: Path | None, env: Mapping[str, str]) -> tuple[bool, str]:
    rule = definition.auto_enable
    if rule == "never":
        return False, "auto_enable is never; name it in servers"
    if path is None and (definition.requires_path or rule == "with_path"):
        return False, "it needs a path"
    if rule == "if_match" and definition.enable_if is not None:
        return _matched(definition.enable_if.file_exists, definition.enable_if.env_set, path, env)
    if rule == "with_path":
        return True, "there is a path"
    return True, "auto_enable is always"


def _matched(
    file: str | None, variable: str | None, path: Path | None, env: Mapping[str, str]
) -> tuple[bool, str]:
    """Return whether the conditions hold that are given, and which; or the first that does not."""
    held = []
    if file is not None:
        if path is None:
            return False, f"it needs a path, to look for {file} there"
        # A folder that must not be looked into holds nothing.
        if not os.path.exists(path / file):  # noqa: PTH110
            return False, f"{file} does not exist in {printable(str(path))}"
        held.append(f"{file} exists in {printable(str(path))}")
    if variable is not None:
        if not env.get(variable):
            return False, f"{variable} is not set"
        held.append(f"{variable} is set")
    return True, " and ".join(held)


def named(names: Sequence[str], definitions: Sequence[Definition]) -> list[Definition]:
    """Return the servers of these names, each once, in the order of the names.

    Raises:
        NotFound: one is not configured; near names are told.
    """
    configured = {definition.name: definition for definition in definitions}
    for name in names:
        if name not in configured:
            raise _missing(name, list(configured))
    return [configured[name] for name in dict.fromkeys(names)]


def command_line(definition: Definition, path: Path | None) -> list[str]:
    """Return the arguments of a server's command, the path among them if it requires one.

    Raises:
        InvalidArgument: it requires a path, and there is none.
    """
    args = list(definition.args)
    if not definition.requires_path:
        return args
    if path is None:
        raise InvalidArgument(
            f"the server {definition.name} needs a path", "Give the folder to work on in `path`"
        )
    index = definition.path_arg_index
    args.insert(len(args) if index < 0 else index, str(path))
    return args


def no_servers(verdicts: Sequence[Verdict]) -> NotFound:
    """Return the error of a task for which no server is enabled; it tells each server's reason."""
    if not verdicts:
        return NotFound(NONE_MATCHED, f"None is configured. {_CONFIGURE}")
    told = [
        f"{verdict.definition.name} ({verdict.why.removeprefix('not enabled: ')})"
        for verdict in verdicts[:_TOLD]
    ]
    if len(verdicts) > _TOLD:
        told.append(f"and {len(verdicts) - _TOLD} more")
    return NotFound(
        NONE_MATCHED,
        f"Not enabled: {', '.join(told)}. Name servers in `servers`, or change their auto_enable",
        servers={verdict.definition.name: verdict.why for verdict in verdicts},
    )


def _missing(name: str, configured: list[str]) -> NotFound:
    lower = {one.lower(): one for one in reversed(configured)}
    near = [lower[one] for one in difflib.get_close_matches(name.lower(), lower, 3, 0.6)]
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif configured:
        hint = f"There are {', '.join(configured[:_TOLD])}"
    else:
        hint = f"None is configured. {_CONFIGURE}"
    return NotFound(f"there is no MCP server {shown(name)}", hint, nearest=near or None)

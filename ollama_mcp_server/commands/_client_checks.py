"""Looks at this server's entries in the MCP clients' files, and tries each as its client does.

Only the user's own files are read: a project's may have come with somebody else's code, and would
have its commands run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from ..agent.servers.reasons import hidden
from ..clients.catalogue import CLIENTS, Client, Computer
from ..clients.entries import entries
from ..clients.file import read
from ..clients.ours import NAME, Entry, own_entries, same_place
from ..clients.trial import Answer, reached, tried
from ..errors import OllamaMCPError
from . import _change as change
from ._checks import Check
from ._words import count

if TYPE_CHECKING:
    from ..settings import Settings

#: Seconds that an entry has to answer, as most clients give it.
PATIENCE = 30.0
#: Characters that a value has at least that is taken for a secret.
SECRET = 6


@dataclass(frozen=True)
class Found:
    """What a client's file says of this server."""

    client: Client
    file: Path
    entries: Sequence[Entry] = ()
    #: Why the file cannot be read.
    error: str | None = None


async def clients(settings: Settings) -> list[Check]:
    """Return how this server stands with the clients whose files are on this computer."""
    endpoint = f"http://{settings.host}:{settings.port}{settings.path}"
    computer = change.this_computer()
    try:
        found = await to_thread.run_sync(search, computer, endpoint)
    except OllamaMCPError as error:
        return [Check("clients", "ok", f"not looked for: {error.message}")]
    tries = [entry for one in found for entry in one.entries]
    return judged(found, await trials(tries, Path(computer.home)), endpoint)


def search(computer: Computer, endpoint: str) -> list[Found]:
    """Return what the files say that there are.

    Raises:
        InvalidArgument: there is no home folder.
    """
    found = []
    for client in CLIENTS.values():
        file = change.place(client, computer)
        if not os.access(file, os.F_OK):  # which fails on no folder, whoever may look into it
            continue
        try:
            held = entries(read(file), client.format, client.container, str(file))
        except OllamaMCPError as error:
            found.append(Found(client, file, error=error.message))
        else:
            found.append(Found(client, file, own_entries(client, held, endpoint)))
    return found


async def trials(tries: Sequence[Entry], folder: Path) -> dict[Any, Answer]:
    """Return what came of entries by their `likeness`: all at once, and what is alike one time."""
    answers: dict[Any, Answer] = {}

    async def attempt(entry: Entry) -> None:
        answers[entry.likeness] = await answer_of(entry, folder)

    async with anyio.create_task_group() as group:
        for entry in {one.likeness: one for one in tries if one.may_be_tried}.values():
            group.start_soon(attempt, entry)
    return answers


async def answer_of(entry: Entry, folder: Path) -> Answer:
    """Return what comes of an entry that is tried as its client would; no secret is in it."""
    if entry.url is not None:
        answer = await reached(entry.url, entry.headers, PATIENCE)
    elif shutil.which(entry.command[0]) is None:
        return Answer(error=f"there is no program {entry.command[0]}")
    else:
        answer = await tried(entry.command, entry.env, folder, PATIENCE)
    if answer.error is None:
        return answer
    secrets = [value for value in entry.secrets if len(value) >= SECRET and value[0] not in "/~"]
    return Answer(error=hidden(answer.error, sorted(secrets, key=len, reverse=True)))


def judged(found: Sequence[Found], answers: Mapping[Any, Answer], endpoint: str) -> list[Check]:
    """Judge each file that was found: an entry that does not answer is broken.

    That a client has no entry is only doubtful where no other has one either.
    """
    if not found:
        return [Check("clients", "ok", "none that install knows has a file on this computer")]
    checks: list[Check] = []
    is_anywhere = any(one.entries for one in found)
    for one in found:
        name, install = f"client {one.client.name}", f"ollama-mcp-server install {one.client.name}"
        if one.error is not None:
            mend = f"mend {one.file}: {one.client.title} cannot read it either"
            checks.append(Check(name, "warn", one.error, mend))
        elif not one.entries:
            told = f"this server is not in {one.file}"
            checks.append(Check(name, "ok" if is_anywhere else "warn", told, install))
        for entry in one.entries:
            mend = install if entry.name == NAME else f"{install} --name {entry.name}"
            if same_place(entry.url or "", endpoint):
                mend = "ollama-mcp-server --transport http"
            answer = answers.get(entry.likeness)
            checks.append(judged_entry(name, one.file, entry, answer, mend))
    return checks


def judged_entry(name: str, file: Path, entry: Entry, answer: Answer | None, mend: str) -> Check:
    """Judge an entry by what came of its trial, if there was one; `mend` mends it."""
    what = f"{entry.name!r} in {file}"
    if entry.is_off:
        return Check(name, "ok", f"{what} is switched off there")
    if answer is None:
        return Check(name, "ok", f"{what} was not tried: only the client knows its variables")
    if answer.error is None:
        return Check(name, "ok", f"{what}: {count(answer.tools, 'tool')} in {answer.ms} ms")
    if entry.url is None:
        return Check(name, "fail", f"{what} does not start: {answer.error}", mend)
    parts = urlsplit(entry.url)  # without the user and the query, which may hold secrets
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return Check(name, "fail", f"{what}, {where}, does not answer: {answer.error}", mend)

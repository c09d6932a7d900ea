"""Looks at an installation from end to end: daemon, models, a chat, servers, HTTP, clients."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Literal

from anyio import to_thread

from ..agent.events import Task
from ..auth import refusal_to_bind
from ..daemon.catalog import full_name
from ..daemon.hosts.survey import survey as survey_hosts
from ..daemon.installed import find_ollama, how_to_install, only_looking, reason_not_to_start
from ..delegation.choice import physical_memory
from ..errors import ModelNotFound, OllamaMCPError
from ..gateway.access.keys import read_keys
from ..settings import environment
from . import _checks
from ._checks import Check
from ._client_checks import clients
from .servers import survey as survey_servers

if TYPE_CHECKING:
    from ..app import App
    from ..progress import Progress

#: Seconds that the chat may take, most of them to load the model, and tokens of its answer.
PATIENCE = 300
TOKENS = 64
HELLO = "Answer with one word: hello."


async def examine(app: App, model: str | None, progress: Progress) -> list[Check]:
    """Return what is found of everything; `model` is to chat, or the one that a call would get.

    Nothing is started but MCP servers, for as long as they are looked at, and nothing is changed.
    """
    progress.update("looking for the daemon")
    found = await daemon(app)
    if _checks.worst(found) != "fail":
        found += await chatting(app, model, progress)
    progress.update("starting the MCP servers")
    found += await servers(app)
    found += await http_side(app)
    progress.update("starting the server as the clients do")
    return [*found, *await clients(app.settings)]


async def daemon(app: App) -> list[Check]:
    """Return whether Ollama is installed, and whether it answers."""
    if app.client.hosts:
        rows = await survey_hosts(app.client.hosts)
        return [
            _checks.reached(str(row["url"]), str(row.get("version")))
            if row["state"] == "up"
            else Check("daemon", "fail", f"{row['name']} at {row['url']} is down", "start it there")
            for row in rows
        ]
    address, around = app.settings.address, environment()
    program = find_ollama(around)
    try:
        with only_looking():
            told = await app.client.request("GET", "/api/version")
    except OllamaMCPError as error:
        may_start = program and not reason_not_to_start("always", address, contained=False)
        check = _checks.broken("daemon", error, _checks.FIX if may_start else "")
    else:
        check = _checks.reached(address.url, str(told.get("version")))
    runs, is_local = check.status != "fail", address.is_loopback
    return [_checks.installed(program, how_to_install(), is_local=is_local, runs=runs), check]


async def chatting(app: App, model: str | None, progress: Progress) -> list[Check]:
    """Return which models there are, how one chats, and where it runs."""
    rows = await app.catalog.installed()
    is_here = app.client.address.is_loopback and not app.client.hosts
    found = [_checks.models(rows, physical_memory() if is_here else None)]
    if found[0].status == "fail":
        return found
    body = {"messages": [{"role": "user", "content": HELLO}], "options": {"num_predict": TOKENS}}
    if model is not None:
        body["model"] = model
    progress.update("chatting")
    try:
        answer = await app.delegate.ask("/api/chat", body, progress, timeout_ms=PATIENCE * 1000)
    except ModelNotFound as error:
        return [*found, _checks.missing(str(error.details.get("model") or model), rows)]
    except OllamaMCPError as error:
        return [*found, _checks.broken("chat", error)]
    running = await app.catalog.running()
    wanted = full_name(answer.model)
    row = next((row for row in running if full_name(str(row.get("name"))) == wanted), None)
    found.append(_checks.chat(answer.final, answer.content or answer.thinking))
    return [*found, _checks.placement(row)]


async def servers(app: App) -> list[Check]:
    """Return how the configured MCP servers are; they are started for it."""
    if app.settings.disable_servers:
        return [Check("servers", "ok", "switched off (OLLAMA_MCP_DISABLE)")]
    try:
        return _checks.servers(await survey_servers(app, Task([]), connect=True))
    except OllamaMCPError as error:
        return [_checks.broken("servers", error)]


async def http_side(app: App) -> list[Check]:
    """Return whether the HTTP transport could be used: its port, and who may call."""
    settings = app.settings
    holder = await to_thread.run_sync(holder_of, settings.host, settings.port)
    found = [_checks.port(settings, holder)]
    try:
        asks = read_keys(settings).required
    except OllamaMCPError as error:
        return [*found, _checks.broken("token", error)]
    asks = bool(asks or settings.auth_token or settings.jwt_issuer)
    return [*found, _checks.token(settings, refusal_to_bind(settings, asks), asks=asks)]


def holder_of(host: str, port: int) -> Literal["free", "ours", "other"]:
    """Return who listens at an address: nobody, a server like this, or another program."""
    try:
        with socket.create_server((host, port)):
            return "free"
    except OSError:
        pass
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health")
        is_ours = connection.getresponse().read(64) == b'{"status":"ok"}'
    except (OSError, http.client.HTTPException):
        return "other"
    finally:
        connection.close()
    return "ours" if is_ours else "other"

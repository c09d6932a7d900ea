"""OpenAI's API: the daemon's `/v1`, chats that may use tools, and the models."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ...daemon.wire import Part
from ...delegation import responses
from ...delegation.choice import resolve
from ...errors import ModelNotFound
from ..gate import caller_of
from ..runs.aliased import Aliased
from ..runs.asked import Wanted, wanted
from ..runs.looped import Api, Looped
from .completions import Completion
from .responses import Response as ResponseTold

if TYPE_CHECKING:
    from ...settings import Settings
    from ..access.caller import Caller
    from ..gate import Gate

#: What the last event of a stream holds, as the daemon has it.
DONE = (b"data: [DONE]", b'data: {"error"')
RESPONDED = (b"event: response.completed", b"event: response.incomplete", b"event: response.failed")


def with_servers(request: Part) -> Wanted:
    """Return what a request to `/v1/responses` says about MCP servers: by tools of type mcp too."""
    named = responses.servers_of(request)
    return wanted(request if named is None else {**request, "mcp_servers": named})


CHAT = Api(dict, lambda chat, _: Completion(chat), DONE)
RESPONSES = Api(responses.to_chat, ResponseTold, RESPONDED, with_servers)


def router(gate: Gate) -> APIRouter:
    """Return the routes."""

    async def models(request: Request) -> Response:
        found = listed(await gate.app.catalog.installed(), gate.app.settings, caller_of(request))
        return JSONResponse(_of_anthropic(found) if _is_anthropic(request) else _list(found))

    async def model(request: Request) -> Response:
        name, app = request.path_params["model"], gate.app
        caller_of(request).check_model(resolved := resolve(name, app.settings).model)
        row = await app.catalog.find(resolved)
        if row is None:
            error = ModelNotFound(f"model {name!r} not found", model=name)
            await app.catalog.explain(error)
            raise error
        told = entry(name, row)
        return JSONResponse(_for_anthropic(told) if _is_anthropic(request) else told)

    return APIRouter(
        routes=[
            Route("/v1/chat/completions", Looped(gate, CHAT)),
            Route("/v1/responses", Looped(gate, RESPONSES)),
            Route("/v1/completions", Aliased(gate, ends=DONE)),
            Route("/v1/embeddings", Aliased(gate)),
            Route("/v1/responses/compact", Aliased(gate)),
            Route("/v1/audio/transcriptions", Aliased(gate)),
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{model:path}", model, methods=["GET"]),
        ]
    )


def listed(rows: list[Part], settings: Settings, caller: Caller) -> list[Part]:
    """Return the models that a caller may use, then the aliases and profiles that stand for one."""
    by_name = {str(row["name"]): row for row in rows}
    found = [entry(name, row) for name, row in by_name.items() if caller.allows(name)]
    for name in (*settings.aliases, *settings.profiles):
        model = resolve(name, settings).model
        row = by_name.get(model) or by_name.get(f"{model}:latest")
        if row is not None and caller.allows(model) and name not in by_name:
            found.append(entry(name, row))
    return found


def entry(name: str, row: Part) -> dict[str, Any]:
    """Return OpenAI's object for a model, by its row in the library."""
    owner, slash, _ = str(row["name"]).rpartition("/")
    return {
        "id": name,
        "object": "model",
        "created": int(_moment(str(row.get("modified_at") or "")).timestamp()),
        "owned_by": owner if slash else "library",
    }


def _moment(text: str) -> datetime:
    """Return the moment that the daemon's text names, which has nine digits of a second."""
    try:
        moment = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
        offset = text[-6:] if text[-6:-5] in ("+", "-") else "+00:00"
        zone = datetime.strptime(offset, "%z").tzinfo
    except ValueError:
        return datetime.fromtimestamp(0, timezone.utc)
    return moment.replace(tzinfo=zone)


def _list(models: list[Part]) -> Part:
    return {"object": "list", "data": models}


def _is_anthropic(request: Request) -> bool:
    """Return whether a request to a route that both APIs have is Anthropic's."""
    return "anthropic-version" in request.headers


def _for_anthropic(model: Part) -> Part:
    created = datetime.fromtimestamp(model["created"], timezone.utc)
    return {
        "type": "model",
        "id": model["id"],
        "display_name": model["id"],
        "created_at": created.isoformat().replace("+00:00", "Z"),
    }


def _of_anthropic(models: list[Part]) -> Part:
    found = [_for_anthropic(model) for model in models]
    ends = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {}
    return {"data": found, "has_more": False, "first_id": None, "last_id": None, **ends}

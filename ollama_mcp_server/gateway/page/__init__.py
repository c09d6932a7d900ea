"""The page at `/`: a shell without data, which asks for the key and shows what the routes tell."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from ..gate import Gate

#: What may be had, and its type.
FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "wire.js": "text/javascript; charset=utf-8",
    "board.js": "text/javascript; charset=utf-8",
    "chat.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
#: Nothing but its own files and routes; no text becomes markup, not even by a mistake in page.js.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def router(_: Gate) -> APIRouter:
    """Return the page's routes; `/` is the page for browsers, and Ollama's word for others."""
    contents = {name: files(__package__).joinpath(name).read_bytes() for name in FILES}
    tags = {name: f'"{hashlib.sha256(body).hexdigest()[:16]}"' for name, body in contents.items()}

    def told(name: str, request: Request, **more: str) -> Response:
        headers = {**HEADERS, "ETag": tags[name], **more}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(None, 304, headers)
        return Response(contents[name], 200, {**headers, "Content-Type": FILES[name]})

    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return told("index.html", request, Vary="Accept")
        # What Ollama's clients look for first; should no daemon run, the next answer tells it.
        return PlainTextResponse("Ollama is running", headers={"Vary": "Accept"})

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in contents:
            return PlainTextResponse("there is no such file", 404)
        return told(name, request)

    made = APIRouter()
    for path, answer in (("/", root), ("/page/{name}", file)):
        made.routes.append(Route(path, answer, methods=["GET"]))
    return made

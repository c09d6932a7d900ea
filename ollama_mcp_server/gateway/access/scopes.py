"""What a caller must be allowed to do: for each route, each tool, each resource. All pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from fastmcp.tools import Tool

#: What a key may be allowed: to look, to ask models, to change the library, to run tools, all.
Scope = Literal["read", "infer", "manage", "agent", "admin"]
#: What a route needs: a scope, any known caller, or nothing at all.
Need = Literal["open", "any", "read", "infer", "manage", "agent", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
#: What a new key is allowed if nothing else is said.
DEFAULT_SCOPES: tuple[Scope, ...] = ("read", "infer")

#: Every route: its methods, its path, what it needs. `{x}` is one step, `{x:path}` any number.
#: GET covers HEAD. The first that fits counts; what fits none needs admin.
ROUTES: tuple[tuple[str, str, Need], ...] = (
    # Probes, OAuth's metadata, and the page's shell, which asks for the key by itself.
    ("GET", "/health", "open"),
    ("GET", "/.well-known/{name:path}", "open"),
    ("GET", "/", "open"),
    ("GET", "/page/{name:path}", "open"),
    ("GET", "/ready", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/gateway/status", "read"),
    ("GET", "/gateway/events", "read"),
    ("GET", "/docs", "read"),
    ("GET", "/docs/oauth2-redirect", "read"),
    ("GET", "/redoc", "read"),
    ("GET", "/openapi.json", "read"),
    # OpenAI's and Anthropic's
    ("POST", "/v1/chat/completions", "infer"),
    ("POST", "/v1/completions", "infer"),
    ("POST", "/v1/responses", "infer"),
    ("POST", "/v1/responses/compact", "infer"),
    ("POST", "/v1/embeddings", "infer"),
    ("POST", "/v1/audio/transcriptions", "infer"),
    ("POST", "/v1/messages", "infer"),
    ("POST", "/v1/messages/count_tokens", "infer"),
    ("GET", "/v1/models", "read"),
    ("GET", "/v1/models/{model:path}", "read"),
    # Our own
    ("POST", "/api/ask", "infer"),
    ("POST", "/api/do", "any"),
    ("GET", "/tools", "agent"),
    ("GET", "/tools/{name:path}", "agent"),
    ("POST", "/tools/{server}/{tool:path}", "any"),
    # Ollama's
    ("GET", "/api/version", "read"),
    ("GET", "/api/status", "read"),
    ("GET", "/api/tags", "read"),
    ("GET", "/api/ps", "read"),
    ("POST", "/api/show", "read"),
    ("POST", "/api/generate", "infer"),
    ("POST", "/api/chat", "infer"),
    ("POST", "/api/embed", "infer"),
    ("POST", "/api/embeddings", "infer"),
    ("POST", "/api/pull", "manage"),
    ("POST", "/api/push", "manage"),
    ("POST", "/api/create", "manage"),
    ("POST", "/api/copy", "manage"),
    ("DELETE", "/api/delete", "manage"),
    ("GET POST", "/api/blobs/{digest}", "manage"),
)

#: Resources by the beginning of their URI. Conversations and batches are their owner's alone.
RESOURCES: tuple[tuple[str, Need], ...] = (
    ("ollama://models", "read"),
    ("ollama://running", "read"),
    ("ollama://servers", "agent"),
    ("ollama://conversations", "any"),
    ("ollama://batches", "any"),
)
#: What a prompt needs: it is made for a model, and may hold files of the roots.
PROMPTS: Need = "infer"


def scope_of(method: str, path: str, mcp: str = "/mcp") -> Need:
    """Return what a request needs; `mcp` is the path of the MCP endpoint.

    There every known caller may come in, since each tool, resource and prompt has a need of its
    own.
    """
    if path == mcp:
        return "any"
    if {".", ".."} & set(path.split("/")):  # whoever it is passed on to might walk
        return "admin"
    method = "GET" if method == "HEAD" else method
    for methods, pattern, need in ROUTES:
        if method in methods.split() and _compiled(pattern).fullmatch(path):
            return need
    return "admin"


@lru_cache(maxsize=len(ROUTES))
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a route's path as a regular expression."""
    steps = re.split(r"(\{\w+(?::path)?\})", pattern)
    return re.compile(
        "".join(
            (".+" if step.endswith(":path}") else "[^/]+") if number % 2 else re.escape(step)
            for number, step in enumerate(steps)
        )
    )


def scope_of_tool(tool: Tool) -> Need:
    """Return what a call of a tool needs, by its tags and annotations.

    Unknown ones, such as those of a user's own folder, count as an agent's tools.
    """
    tags, hints = tool.tags, tool.annotations
    if "agent" in tags or "web" in tags:  # what they do leaves the models
        return "agent"
    if {"chat", "models"} <= tags or "conversations" in tags:  # of jobs: the caller's own
        return "any"
    if "chat" in tags or ("models" in tags and "memory" in tags):
        return "infer"
    if "models" in tags or "publish" in tags:
        return "read" if hints and hints.read_only_hint else "manage"
    return "agent"


def scope_of_resource(uri: str) -> Need:
    """Return what reading a resource needs."""
    return next(
        (need for start, need in RESOURCES if uri == start or uri.startswith(f"{start}/")), "agent"
    )

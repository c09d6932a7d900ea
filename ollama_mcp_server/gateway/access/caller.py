"""Who calls, and what is allowed to whom."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ...daemon.catalog import full_name
from ...errors import PermissionDenied
from .scopes import SCOPES, Need, Scope

#: Who has come without a key where none is needed, and with OLLAMA_MCP_AUTH_TOKEN.
NOBODY, HOLDER = "anonymous", "token"


@dataclass(frozen=True)
class Caller:
    """Who calls: the owner of a key or token, its only holder, or anybody where none is needed."""

    name: str
    scopes: frozenset[Scope]
    #: Patterns of model names; None for every model.
    models: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    #: Requests at a time, waiting ones included.
    concurrency: int | None = None

    def may(self, need: Need) -> bool:
        """Return whether the caller has what is needed; `any` is any scope at all."""
        if need == "any":
            return bool(self.scopes)
        return need == "open" or bool({"admin", need} & self.scopes)

    def check(self, need: Need) -> None:
        """Let a caller pass who has what is needed.

        Raises:
            PermissionDenied: the caller has not.
        """
        if not self.may(need):
            raise PermissionDenied(
                f"the key {self.name} has no scope {need}",
                f"Its scopes are {', '.join(sorted(self.scopes)) or 'none'}; "
                "use another key, or make one with `ollama-mcp-server keys add`",
            )

    def allows(self, model: str) -> bool:
        """Return whether the caller may use a model; `name` and `name:latest` are the same."""
        if self.models is None:
            return True
        name = full_name(model)
        return any(
            fnmatchcase(name, pattern.lower()) or fnmatchcase(name, full_name(pattern))
            for pattern in self.models
        )

    def check_model(self, model: str) -> None:
        """Let a caller pass who may use a model.

        Raises:
            PermissionDenied: the caller may not.
        """
        if not self.allows(model):
            raise PermissionDenied(
                f"the key {self.name} may not use the model {model}",
                f"Name one that it may use: {', '.join(self.models or ()) or 'none'}",
            )


#: Who calls where no key is needed.
ANONYMOUS = Caller(NOBODY, frozenset(SCOPES))
#: Who calls with the one token.
THE_HOLDER = Caller(HOLDER, frozenset(SCOPES))

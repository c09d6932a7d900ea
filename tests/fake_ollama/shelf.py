"""What the daemon has: its models, what of them is loaded, its blobs."""

from __future__ import annotations

from datetime import datetime

from .models import CATALOGUE, ELSEWHERE, Model, full_name, key_of, now, split_source
from .reading import check_options, keep_alive
from .wire import JSON, Refused, demand


class Shelf:
    """The state of the library.

    Tests may change it: `models`, and the `registry` to pull from, by lower-case full name;
    `loaded` models with their context length and end; `blobs` by digest; the `store` folder.
    """

    def __init__(self) -> None:
        self.models = {key_of(model.name): model for model in CATALOGUE}
        self.registry = {**self.models, key_of(ELSEWHERE.name): ELSEWHERE}
        self.loaded: dict[str, tuple[Model, int, datetime]] = {}
        self.blobs: dict[str, bytes] = {}
        self.store = "/usr/share/ollama/.ollama/models"
        self.calls = 0

    def find(self, name: str, missing: str, nameless: Refused) -> Model:
        """Find a model in the daemon's way; raises `Refused` as the daemon does."""
        base, source = split_source(name)
        if not name.strip():
            raise nameless
        twice = source and split_source(base)[1]
        demand(not twice, f'use either :local or :cloud, not both: "{name}"')
        demand(full_name(base), "invalid model name")
        cloud = 'Post "https://ollama.com:443": dial tcp: lookup ollama.com: no such host'
        demand(source != "cloud", cloud, 502)
        demand(key_of(base) in self.models, missing, 404)
        return self.models[key_of(base)]

    def load(self, model: Model, body: JSON) -> JSON:
        """Load a model and return the options in force; raises `Refused` for bad ones."""
        asked = body.get("options") or {}
        demand(asked.get("typical_p") is None, "typical_p is no longer supported")
        check_options(model.parameters)
        check_options(asked)
        options = {**model.parameters, **asked}
        options["num_ctx"] = min(int(options.get("num_ctx") or 4096), model.context_length)
        until = now() + keep_alive(body)
        self.loaded[key_of(model.name)] = (model, options["num_ctx"], until)
        return options

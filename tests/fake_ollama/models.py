"""The models of the library, and what names them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from .wire import JSON


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Model:
    """A model of the library; lengths are in tokens."""

    name: str
    family: str
    billions: float
    context_length: int
    embedding_length: int
    capabilities: tuple[str, ...] = ("completion",)
    thinking: JSON | None = None
    parameters: JSON = field(default_factory=lambda: {"stop": ["<|end|>"]})
    system: str = ""
    template: str = "{{ .Prompt }}"
    license: str = ""
    messages: tuple[JSON, ...] = ()
    modified: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

    @property
    def layer(self) -> str:
        """The digest of the weights, which models made from this one share."""
        return sha256(f"{self.family} {self.billions} {self.capabilities}".encode())

    @property
    def row(self) -> JSON:
        """What `/api/tags` and `/api/ps` have in common."""
        content = replace(self, name="", modified=CATALOGUE[0].modified)  # a copy's is the same
        return {
            "name": self.name,
            "model": self.name,
            "size": int(self.billions * 6e8),
            "digest": sha256(repr(content).encode())[7:],
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": self.family,
                "families": [self.family],
                "quantization_level": "Q4_K_M",
                "parameter_size": f"{self.billions:g}B",
            },
        }

    def can(self, capability: str) -> bool:
        return capability in self.capabilities


SWITCH = {"values": [False, True], "default": True}
CATALOGUE = (
    Model("llama3.2:3b", "llama", 3.2, 131072, 3072, ("completion", "tools")),
    Model("qwen3:8b", "qwen3", 8.2, 40960, 4096, ("completion", "tools", "thinking"), SWITCH),
    Model("llava:7b", "llama", 7.0, 32768, 4096, ("completion", "vision")),
    Model("codellama:7b", "llama", 7.0, 16384, 4096, ("completion", "insert")),
    Model("all-minilm:22m", "bert", 0.0226, 512, 384, ("embedding",)),
)
ELSEWHERE = Model("gemma3:1b", "gemma3", 1.0, 32768, 1152)  # not here, but can be pulled


def full_name(name: str) -> str:
    """Host, namespace, model and tag of a model name; empty for an impossible one."""
    part = r"\w[\w.-]{0,79}"
    pattern = rf"(?:(?:(\w[\w.:-]*)/)?(\w[\w-]{{0,79}})/)?({part})(?::({part}))?"
    found = re.fullmatch(pattern, name, re.ASCII)
    if not found:
        return ""
    host, namespace, model, tag = found.groups()
    return f"{host or 'registry.ollama.ai'}/{namespace or 'library'}/{model}:{tag or 'latest'}"


def key_of(name: str) -> str:
    return full_name(name).lower()


def short_name(name: str) -> str:
    """A name as the daemon lists it: with its tag, without the default host and namespace."""
    return full_name(name).removeprefix("registry.ollama.ai/").removeprefix("library/")


def split_source(name: str) -> tuple[str, str]:
    """Split `:local`, `:cloud` or `-cloud` (as long as `:local`) off a name."""
    found = re.search(r"(?i)(?::(local|cloud)|:[^/:]*-(cloud))$", name)
    return (name[:-6], (found[1] or found[2]).lower()) if found else (name, "")

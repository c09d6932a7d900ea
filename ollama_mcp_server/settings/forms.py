"""How settings are written: lists with commas, paths as in PATH, pairs, JSON."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

#: What OLLAMA_DEBUG may say beside the names of levels.
_DEBUG = {"0": "warning", "f": "warning", "false": "warning"} | dict.fromkeys(
    ("1", "2", "t", "true"), "debug"
)


class Profile(BaseModel):
    """A model with settings of its own, under a name."""

    model_config = ConfigDict(extra="forbid")

    model: str
    system: str | None = None
    options: dict[str, Any] = {}
    keep_alive: str | float | None = None


class OllamaHost(BaseModel):
    """One of several hosts."""

    model_config = ConfigDict(extra="forbid")

    url: str
    headers: dict[str, SecretStr] = {}
    limit: int | None = Field(None, ge=1)


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(name for name in (part.strip() for part in value.split(",")) if name)
    return value


def _folders(value: Any) -> Any:
    given = [value] if isinstance(value, str) else value
    paths = [part for item in given for part in str(item).split(os.pathsep) if part.strip()]
    return tuple(Path(os.path.expanduser(path)) for path in paths)  # noqa: PTH111


def _expanded(value: Path | None) -> Path | None:
    return Path(os.path.abspath(os.path.expanduser(value))) if value else None  # noqa: PTH100, PTH111


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError('must be JSON, such as {"name": "value"}') from None


def _pairs(value: str, example: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(name.strip() and meant.strip() for name, _, meant in pairs):
        raise ValueError(f"must be {example}")
    return {name.strip(): meant.strip() for name, _, meant in pairs}


def _aliases(value: Any) -> Any:
    if not isinstance(value, str) or value.lstrip().startswith("{"):
        return _json(value)
    return _pairs(value, "name=model pairs, such as fast=qwen3:1.7b,code=codellama")


def _hosts(value: Any) -> Any:
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        value = _pairs(value, "name=URL pairs, such as desk=127.0.0.1,gpu=http://gpu")
    told = _json(value)
    if not isinstance(told, dict):
        raise ValueError('must be a JSON object, such as {"gpu": {"url": "http://gpu"}}')
    return {name: {"url": v} if isinstance(v, str) else v for name, v in told.items()}


def _level(value: Any) -> Any:
    # the spellings that Ollama's own OLLAMA_DEBUG takes
    return _DEBUG.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _without_slash(value: str | None) -> str | None:
    return value.rstrip("/") if value else None


#: Names, separated by commas.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
#: Folders, separated as in PATH.
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)]
#: A file, which `~` may begin.
File = Annotated[Path | None, AfterValidator(_expanded)]
#: Other names for models, as name=model pairs or JSON.
Aliases = Annotated[dict[str, str], NoDecode, BeforeValidator(_aliases)]
#: Hosts by name, as name=URL pairs or JSON.
Hosts = Annotated[dict[str, OllamaHost], NoDecode, BeforeValidator(_hosts)]
#: Profiles by name, as JSON.
Profiles = Annotated[dict[str, Profile], NoDecode, BeforeValidator(_json)]
#: Headers by name, as JSON.
Headers = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_json)]
#: An address without the slash at its end.
Base = AfterValidator(_without_slash)
#: A level of the log, in our words or in those of OLLAMA_DEBUG.
Level = BeforeValidator(_level)

"""The few calls to a daemon's HTTP API that the setup makes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from .steps import SetupError

# no proxy: the daemon is on this machine or as near as OLLAMA_HOST says
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def version(url: str, *, timeout: float = 2) -> str | None:
    """Return the version of the daemon at a URL, None when none answers in `timeout` seconds."""
    try:
        with _OPENER.open(f"{url}/api/version", timeout=timeout) as response:
            return str(json.load(response)["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def tags(url: str) -> dict[str, str]:
    """Return name -> digest of the models a daemon has."""
    with _OPENER.open(f"{url}/api/tags", timeout=30) as response:
        return {model["name"]: model["digest"] for model in json.load(response)["models"]}


def has_blob(url: str, digest: str) -> bool:
    """Say whether a daemon has a file with this sha256."""
    return _send(url, "HEAD", f"/api/blobs/sha256:{digest}")[0] == 200


def upload_blob(url: str, digest: str, file: Path) -> None:
    """Give a file to a daemon; raises SetupError when it is refused."""
    with file.open("rb") as data:
        headers = {"Content-Length": str(file.stat().st_size)}
        status, text = _send(url, "POST", f"/api/blobs/sha256:{digest}", data, headers)
    if status not in (200, 201):
        raise SetupError(f"{url} refused {file.name}: {status} {text}")


def create(url: str, fields: dict[str, Any]) -> None:
    """Create a model with the fields of /api/create; raises SetupError when that fails."""
    body = json.dumps({**fields, "stream": False}).encode()
    status, text = _send(url, "POST", "/api/create", body)
    if status != 200:
        raise SetupError(f"{url} did not create {fields['model']}: {status} {text}")


def _send(
    url: str, method: str, path: str, data: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    request = urllib.request.Request(url + path, data, headers or {}, method=method)
    try:
        with _OPENER.open(request, timeout=600) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        raise SetupError(f"{method} {url}{path}: {error}") from None

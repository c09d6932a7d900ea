"""Whether a daemon may be started here, from which program, and what to say where it may not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from ..address import Address
from ..errors import START_IT

#: auto: where Ollama belongs on this machine; always: in a container too; never.
Policy: TypeAlias = Literal["auto", "always", "never"]

#: Files that container engines leave in their containers.
MARKS = ("/.dockerenv", "/run/.containerenv")
#: Words in the control groups of a container's first process.
GROUPS = ("docker", "containerd", "kubepods", "lxc", "libpod")

ELSEWHERE = (
    "Start Ollama on that machine so that it listens there (`OLLAMA_HOST=0.0.0.0 ollama serve`), "
    "or set OLLAMA_HOST to where it runs"
)
CONTAINED = (
    "This server runs in a container, where 127.0.0.1 is the container itself: set OLLAMA_HOST to "
    "the machine that runs `ollama serve`, such as host.docker.internal:11434; if Ollama is "
    "in here, OLLAMA_MCP_START_DAEMON=always lets this server start it"
)
#: How to install Ollama, by `sys.platform`.
INSTALL = {
    "darwin": "Install it with `brew install ollama`, or the app from https://ollama.com/download",
    "linux": "Install it with `curl -fsSL https://ollama.com/install.sh | sh`",
    "win32": "Install it with `winget install Ollama.Ollama`, or from https://ollama.com/download",
}

#: Whether who asks only looks.
only_looks: ContextVar[bool] = ContextVar("only looks", default=False)


@contextmanager
def only_looking() -> Iterator[None]:
    """Let nothing be started by what is asked here: a list, a menu, a probe."""
    token = only_looks.set(True)
    try:
        yield
    finally:
        only_looks.reset(token)


def reason_not_to_start(policy: Policy, address: Address, *, contained: bool) -> str:
    """Return why no daemon may be started for an address, as a hint what to do; "" if one may."""
    if not address.is_loopback:
        return ELSEWHERE
    if policy == "never":
        return START_IT
    parts = urlsplit(address.url)
    if parts.scheme != "http" or parts.path or address.credentials:
        return START_IT  # a proxy stands there, and no daemon could
    if contained and policy == "auto":
        return CONTAINED
    return ""


def in_container(
    environment: Mapping[str, str],
    exists: Callable[[str], bool] = os.path.exists,
    groups: Path = Path("/proc/1/cgroup"),
) -> bool:
    """Return whether this process runs in a container."""
    if "KUBERNETES_SERVICE_HOST" in environment or any(map(exists, MARKS)):
        return True
    try:
        told = groups.read_text(errors="replace")
    except OSError:
        return False
    return any(word in told for word in GROUPS)


def find_ollama(environment: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Return the path of the installed `ollama`, None if there is none."""
    path = environment.get("PATH")
    tried = (shutil.which(place, path=path) for place in places(environment, platform))
    return next((found for found in tried if found), None)


def places(environment: Mapping[str, str], platform: str = sys.platform) -> list[str]:
    """Return where `ollama` may be: on PATH, or where a program of the desktop does not look."""
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return ["ollama", *([rf"{local}\Programs\Ollama\ollama.exe"] if local else [])]
    found = ["ollama", "/usr/local/bin/ollama", "/usr/bin/ollama"]
    if platform == "darwin":
        app = "Applications/Ollama.app/Contents/Resources/ollama"
        home = environment.get("HOME")
        found += ["/opt/homebrew/bin/ollama", f"/{app}", *([f"{home}/{app}"] if home else [])]
    return found


def how_to_install(platform: str = sys.platform) -> str:
    """Return how Ollama is installed on a system."""
    return INSTALL.get(platform, "Install it from https://ollama.com/download")


def why_it_ended(log: str) -> str:
    """Return what the log of a daemon that has ended says of it, in one line; "" for nothing."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("Error:")), "")
    return (told.removeprefix("Error:").strip() or (lines[-1] if lines else ""))[:300]

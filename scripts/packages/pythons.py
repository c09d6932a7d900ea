"""Which Pythons this machine has."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

#: The oldest that the package takes, and the newest that was released when this was written.
MINORS = tuple(f"3.{minor}" for minor in range(10, 15))


@dataclass(frozen=True)
class Python:
    """One of them."""

    version: str
    program: str


def found() -> dict[str, Python]:
    """Return the Pythons that start and can make environments, one for each of MINORS."""
    kept: dict[str, Python] = {}
    for minor in MINORS:
        for program in _candidates(minor):
            if version := _version(program, minor):
                kept[minor] = Python(version, program)
                break
    return kept


def here() -> Python:
    """Return the one that runs this."""
    return Python(".".join(map(str, sys.version_info[:3])), sys.executable)


def _candidates(minor: str) -> list[str]:
    """Return where a Python of one minor version may be: here, on PATH, with pyenv, with uv."""
    places = [sys.executable] if here().version.startswith(f"{minor}.") else []
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if program := shutil.which(f"python{minor}", path=folder):
            places.append(program)
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))  # noqa: PTH111
    uv = os.path.expanduser("~/.local/share/uv/python")  # noqa: PTH111
    for pattern in (f"{pyenv}/versions/{minor}.*/bin/python", f"{uv}/cpython-{minor}.*/bin/python"):
        places += sorted(glob.glob(pattern), reverse=True)  # noqa: PTH207
    return places


def _version(program: str, minor: str) -> str:
    """Return the version of a Python; empty if it is another, or none that works."""
    asked = "import ensurepip, platform, venv; print(platform.python_version())"
    try:
        ran = subprocess.run(
            [program, "-c", asked], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = ran.stdout.strip()
    return version if ran.returncode == 0 and version.startswith(f"{minor}.") else ""

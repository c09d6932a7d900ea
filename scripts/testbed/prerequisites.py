"""What a build needs from the machine, looked at before anything is downloaded."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import packages
from .steps import SetupError

MINIMUM_PYTHON = (3, 10)
MINIMUM_GLIBC = (2, 35)  # of the llama-server wheel: Debian 12, Ubuntu 22.04
MINIMUM_DISK = 3.0  # GB while building; the cache keeps 0.25, Go's own caches 0.7


@dataclass(frozen=True)
class Finding:
    """One prerequisite: there, brought from a registry when needed, or missing: see `note`."""

    name: str
    state: Literal["there", "brought", "missing"]
    note: str


def require(cache: Path, go_version: str) -> None:
    """Raise SetupError that names every missing prerequisite and the command that brings it."""
    missing = [found for found in examine(cache, go_version) if found.state == "missing"]
    if missing:
        lines = "\n".join(f"  {found.name}: {found.note}" for found in missing)
        raise SetupError(f"to build Ollama this machine lacks\n{lines}")


def examine(cache: Path, go_version: str) -> list[Finding]:
    """Return a finding for each thing that a build of Ollama with that Go version needs."""
    return [
        _system(),
        _python(),
        _pip(),
        _compiler(),
        _go(go_version),
        _npm(),
        _openmp(),
        _disk(cache),
    ]


def find_go(minimum: str) -> str | None:
    """Return the path of an installed Go that can build a module with `go MINIMUM`, or None.

    From 1.21 on, Go fetches a newer toolchain through the module proxy, unless GOTOOLCHAIN=local.
    """
    program = shutil.which("go")
    if program is None:
        return None
    words = [program, "env", "GOVERSION", "GOTOOLCHAIN"]
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)
    version, _, toolchain = done.stdout.strip().partition("\n")
    found = _numbers(version)
    can_fetch = found >= (1, 21) and "auto" in toolchain
    return program if can_fetch or found >= _numbers(minimum) else None


def compiler() -> list[str]:
    """Return the command of the C compiler, as Go chooses it."""
    return (os.environ.get("CC") or "gcc").split()


def _system() -> Finding:
    name = f"{platform.system()} {platform.machine()}"
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return Finding(name, "missing", f"built only on Linux x86_64; {_install_ollama()}")
    library, version = platform.libc_ver()
    if library != "glibc" or _numbers(version) < MINIMUM_GLIBC:
        need = ".".join(map(str, MINIMUM_GLIBC))
        return Finding(name, "missing", f"glibc >= {need} is needed; {_install_ollama()}")
    return Finding(name, "there", f"glibc {version}")


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < MINIMUM_PYTHON:
        return Finding("Python >= 3.10", "missing", f"this one is {version}")
    return Finding("Python >= 3.10", "there", version)


def _pip() -> Finding:
    if packages.has_pip():
        return Finding("pip or venv", "there", "for the packages of PyPI")
    return Finding("pip or venv", "missing", _install("python3-venv", "python3-pip"))


def _compiler() -> Finding:
    name = "a C compiler"
    words = [*compiler(), "-x", "c", "-", "-o", os.devnull]
    try:
        done = subprocess.run(
            words,
            input=b"#include <stdlib.h>\nint main(void){return 0;}",
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return Finding(name, "missing", f"Ollama is built with cgo: {_install('gcc libc6-dev')}")
    if done.returncode:
        return Finding(name, "missing", f"{words[0]} has no C headers: {_install('libc6-dev')}")
    return Finding(name, "there", words[0])


def _go(minimum: str) -> Finding:
    name = f"Go >= {minimum}"
    if found := find_go(minimum):
        return Finding(name, "there", found)
    return Finding(name, "brought", f"PyPI's {packages.PACKAGES['go'].name}")


def _npm() -> Finding:
    if found := shutil.which("npm"):
        return Finding("npm", "there", found)
    return Finding("npm", "brought", f"PyPI's {packages.PACKAGES['node'].name}")


def _openmp() -> Finding:
    if has_openmp():
        return Finding("libgomp.so.1", "there", "for llama-server")
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        return Finding("libgomp.so.1", "brought", "Debian's libgomp1, unpacked beside llama-server")
    return Finding("libgomp.so.1", "missing", _install("libgomp1", "libgomp"))


def has_openmp() -> bool:
    """Say whether the loader finds GCC's OpenMP library."""
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return False
    return True


def _disk(cache: Path) -> Finding:
    place = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    note = f"{free:.1f} GB free at {place}"
    return Finding(
        f"{MINIMUM_DISK:.0f} GB of disk", "there" if free > MINIMUM_DISK else "missing", note
    )


def _install(debian: str, fedora: str | None = None) -> str:
    if shutil.which("dnf"):
        return f"sudo dnf install {fedora or debian.replace('libc6-dev', 'glibc-devel')}"
    return f"sudo apt-get install {debian}"


def _install_ollama() -> str:
    command = {"Darwin": "brew install ollama", "Windows": "winget install Ollama.Ollama"}
    return f"install Ollama ({command.get(platform.system(), 'see its own page')}) and start it"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))

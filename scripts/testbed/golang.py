"""Programs in Go: built from a folder of the repository, or from a module that lock.json names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from . import binaries
from .cache import filling, locked
from .packages import LOCK
from .steps import execute, tell


def built(folder: Path, cache: Path, go: str = "1.25.0") -> Path:
    """Return the program that a folder with a go.sum holds, built once for each state of it.

    Args:
        folder: the main package.
        cache: where programs are kept.
        go: the oldest Go that can build it.

    Raises SetupError.
    """
    sources = [*sorted(folder.glob("*.go")), folder / "go.mod", folder / "go.sum"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    home = cache / f"built-{folder.name}-{digest[:16]}"
    with locked(cache):
        if not home.exists():
            tool = binaries.find_go(go, cache)
            tell(f"building {folder.name} with {tool}")
            with filling(home) as target:
                words = [tool, "build", "-mod=readonly", "-ldflags=-s -w"]
                execute([*words, "-o", target / folder.name, "."], cwd=folder, env=_plain())
    return home / folder.name


def installed(name: str, cache: Path) -> Path:
    """Return a program of a module that lock.json names, built the first time.

    Raises SetupError.
    """
    fixed = LOCK["go"][name]
    home = cache / f"{name}-{fixed['version']}"
    with locked(cache):
        if not home.exists():
            tool = binaries.find_go(fixed["go"], cache)
            tell(f"building {name} {fixed['version']} with {tool}")
            source(name, cache)
            with filling(home) as target:
                package = f"{fixed['module']}{fixed['package']}@v{fixed['version']}"
                around = {**_plain(), "GOBIN": str(target)}
                execute([tool, "install", "-ldflags=-s -w", package], cwd=cache, env=around)
                (program,) = target.iterdir()
                program.rename(target / name)
    return home / name


def source(name: str, cache: Path) -> Path:
    """Return the folder of a module that lock.json names.

    Raises SetupError.
    """
    fixed = LOCK["go"][name]
    module = f"{fixed['module']}@v{fixed['version']}"
    return binaries.verify(binaries.find_go(fixed["go"], cache), module, fixed["sum"], cache)


def _plain() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0"}

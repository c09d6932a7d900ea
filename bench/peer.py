"""Servers of others, each in an environment of its own in the test bed's cache."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.testbed import node
from scripts.testbed.cache import filling, locked
from scripts.testbed.steps import execute, tell

BRIDGE = "ollama-mcp-bridge==0.12.2"
#: Where the packages of npm are pinned.
NPM = Path(__file__).parent / "npm"


def environment(requirement: str, cache: Path) -> Path:
    """Return the folder of programs of an environment of its own, with one package of PyPI."""
    name = f"{requirement.replace('==', '-')}-{sys.version_info.major}.{sys.version_info.minor}"
    home = cache / name
    if home.exists():
        return home / "bin"
    with locked(cache):
        if not home.exists():  # still
            tell(f"installing {requirement}")
            with filling(home) as partial:
                execute([sys.executable, "-m", "venv", partial])
                words = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
                execute([partial / "bin" / "python", *words, requirement])
    return home / "bin"


def bridge(cache: Path) -> Path:
    """Return the Python that ollama-mcp-bridge is installed for."""
    return environment(BRIDGE, cache) / "python"


def of_npm(name: str, cache: Path) -> list[str]:
    """Return the command that starts a package of npm."""
    package = node.modules(NPM, cache) / name
    programs = json.loads((package / "package.json").read_text())["bin"]
    program = programs if isinstance(programs, str) else next(iter(programs.values()))
    return [str(node.program()), str(package / program)]


def of_pypi(requirement: str, cache: Path) -> list[str]:
    """Return the command that starts a package of PyPI, whose program has its name."""
    python = environment(requirement, cache) / "python"
    script = python.with_name(requirement.partition("==")[0])
    return [str(python), str(script)]  # what it says of its own place was the partial one's

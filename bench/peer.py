"""ollama-mcp-bridge, from PyPI, in an environment of its own in the test bed's cache."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.testbed.cache import filling, locked
from scripts.testbed.steps import execute, tell

BRIDGE = "ollama-mcp-bridge==0.12.2"


def bridge(cache: Path) -> Path:
    """Return the Python of an environment of its own that ollama-mcp-bridge is installed in."""
    name = f"{BRIDGE.replace('==', '-')}-{sys.version_info.major}.{sys.version_info.minor}"
    home = cache / name
    if home.exists():
        return home / "bin" / "python"
    with locked(cache):
        if not home.exists():  # still
            tell(f"installing {BRIDGE}")
            with filling(home) as partial:
                execute([sys.executable, "-m", "venv", partial])
                words = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", BRIDGE)
                execute([partial / "bin" / "python", *words])
    return home / "bin" / "python"

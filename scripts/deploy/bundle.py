"""The MCP bundle (.mcpb): the package's own source, run by uv, checked and packed by its own tool.

`python -m scripts.deploy.bundle` writes dist/ollama-mcp-server-VERSION.mcpb.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.testbed import cache, node
from scripts.testbed.steps import SetupError, execute

ROOT = Path(__file__).parents[2]
#: What is in it, beside the manifest and the icon.
FILES = ("pyproject.toml", "README.md", "LICENSE")


def main() -> int:
    """Pack it, say where it is, and return the exit status."""
    try:
        print(pack(ROOT / "dist"))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def pack(target: Path) -> Path:
    """Write the bundle into a folder and return its path; raises SetupError."""
    version = json.loads((ROOT / "bundle/manifest.json").read_text())["version"]
    file = target / f"ollama-mcp-server-{version}.mcpb"
    target.mkdir(parents=True, exist_ok=True)
    modules = node.modules(Path(__file__).parent / "mcpb", cache.folder())
    mcpb = [node.program(), modules / "@anthropic-ai/mcpb/dist/cli/cli.js"]
    with TemporaryDirectory() as name:
        stage = Path(name, "bundle")
        shutil.copytree(ROOT / "bundle", stage)
        package = ROOT / "ollama_mcp_server"
        shutil.copytree(package, stage / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        for one in FILES:
            shutil.copy(ROOT / one, stage)
        execute([*mcpb, "validate", stage / "manifest.json"])
        execute([*mcpb, "pack", stage, file])
    return file


if __name__ == "__main__":
    sys.exit(main())

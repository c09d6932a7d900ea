"""Files written, and found."""

from pathlib import Path

from ollama_mcp_server.delegation.inputs.roots import Roots


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def names(roots: Roots, given: str) -> list[str]:
    return [roots.name(path) for path in roots.find(given)]

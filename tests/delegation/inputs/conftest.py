"""A folder that may be used, and a file that no path may reach."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_mcp_server.delegation.inputs.roots import Roots
from tests.delegation.inputs.folders import write

#: Files of a stocked folder, each holding its own name.
FILES = (
    "README.md",
    "notes [1].txt",
    "src/main.py",
    "src/sub/deep.py",
    "src/sub/deep.txt",
    ".hidden/secret.py",
    "src/.env",
    "größe.txt",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def stocked(root: Path) -> None:
    for name in FILES:
        write(root / name, name)


@pytest.fixture
def roots(root: Path) -> Roots:
    return Roots([root])


@pytest.fixture
def put(root: Path) -> Callable[[str, bytes | str], Path]:
    """Write a file of the folder."""
    return lambda name, content: write(root / name, content)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no path may reach, beside the allowed folder."""
    return write(tmp_path / "outside" / "secret.txt", "secret")

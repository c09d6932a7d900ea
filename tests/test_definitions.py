"""Tools and prompts made from the definitions that are kept beside their modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from ollama_mcp_server import prompts, tools
from ollama_mcp_server.definitions import kept
from ollama_mcp_server.discovery import USER_PACKAGE, discover
from ollama_mcp_server.prompts import files
from ollama_mcp_server.tools import library

MOVED = """
import fastmcp.server.dependencies as parts
from fastmcp.tools import Tool

del parts.transform_context_annotations
from ollama_mcp_server.definitions import kept
from ollama_mcp_server.tools import library

print("kept" if kept(library) else "derived")
"""


def names(module: ModuleType) -> set[str]:
    return {component.name for component in kept(module)}


def moved(module: ModuleType, path: Path) -> ModuleType:
    """Return a module as if its file were elsewhere."""
    copy = ModuleType(module.__name__)
    vars(copy).update(vars(module), __file__=str(path))
    return copy


def test_a_module_is_made_from_what_is_kept_of_it() -> None:
    assert names(library) == {"ollama_pull", "ollama_create", "ollama_delete"}
    assert names(files) == {"summarize_files", "extract_to_schema"}


def test_a_module_that_lacks_a_definition_is_derived_whole(tmp_path: Path) -> None:
    assert kept(moved(library, tmp_path / "library.py")) == []
    folder = tmp_path / "definitions"
    folder.mkdir()
    whole = Path(library.__file__).with_name("definitions")
    for name in ("ollama_pull", "ollama_create"):
        shutil.copy(whole / f"{name}.json", folder)
    assert kept(moved(library, tmp_path / "library.py")) == []
    shutil.copy(whole / "ollama_delete.json", folder)
    assert len(kept(moved(library, tmp_path / "library.py"))) == 3


def test_definitions_in_a_folder_of_a_user_mean_nothing(tmp_path: Path) -> None:
    beside = tmp_path / "definitions"
    beside.mkdir()
    (beside / "greet.json").write_text("{}")
    (tmp_path / "own.py").write_text(
        "from fastmcp.tools import tool\n\n"
        "@tool\ndef greet(name: str) -> str:\n    'Greet someone.'\n    return name\n"
    )
    complaints: list[str] = []
    *_, last = discover(tools, tmp_path, complaints.append, more=[prompts])
    assert (last.name, last.description, complaints) == ("greet", "Greet someone.", [])
    assert USER_PACKAGE in last.fn.__module__  # type: ignore[attr-defined]


def test_a_fastmcp_that_has_moved_its_parts_derives_all() -> None:
    ran = subprocess.run([sys.executable, "-c", MOVED], capture_output=True, text=True, check=True)
    assert ran.stdout == "derived\n"

"""Imports point one way: cli → server → tools → agent → delegation → daemon → errors, settings."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ollama_mcp_server"

#: From the rim to the core; a module may import what stands further down, and its own layer.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"transport", "commands", "flags"},
    {"clients"},
    {"gateway"},
    {"server"},
    {"patience", "completion", "tasks"},
    {
        "discovery",
        "definitions",
        "frame",
        "middleware",
        "placement",
        "reading",
        "subscriptions",
        "auth",
    },
    {"tools", "tool", "resources", "prompts"},
    {"glance"},
    {"app"},
    {"agent"},
    {"delegation"},
    {"daemon"},
    {"errors", "settings", "address", "progress", "faults", "schemas", "__init__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
#: Who may name what: the wire has one place, so has the server of pages.
ONLY = {
    "httpx": {"daemon", "errors", "delegation"},
    "ollama": {"daemon"},
    "starlette": {"auth", "tasks", "transport", "gateway"},
    "uvicorn": {"transport"},
}


def names(node: ast.AST) -> set[str]:
    """Return the names that an expression holds."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """Return the layer's name of a module: its folder's, or its own."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Return what a module imports: rooms of the package as `.room`, others by their root."""
    found = set()
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                found.add((node.module or "").partition(".")[0])
            elif node.level == depth:  # relative to the package itself
                names = [node.module] if node.module else [alias.name for alias in node.names]
                found |= {f".{name.partition('.')[0]}" for name in names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = RANK[room(path)]
    wrong = {
        name
        for name in imports(path)
        if name.startswith(".") and name != ".__version__" and RANK[name[1:]] < own
    }
    assert not wrong


@pytest.mark.parametrize("library", ONLY)
def test_each_library_has_its_rooms(library: str) -> None:
    users = {room(path) for path in modules() if library in imports(path)}
    assert users <= ONLY[library]


def test_one_module_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers == {"settings/environment.py"}


def test_a_broad_except_stands_only_where_the_design_names_it() -> None:
    broad = [
        room(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or {"Exception", "BaseException"} & names(node.type))
    ]
    assert sorted(broad) == ["agent", "agent", "discovery", "middleware"]

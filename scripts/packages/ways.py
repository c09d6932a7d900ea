"""The ways in which people install the package: each returns the command that starts the server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .pythons import Python

#: Seconds that one command of an installer may take.
PATIENCE = 600
NAME = "ollama-mcp-server"
#: What the extras bring, by the names under which it is imported.
EXTRAS = ("pypdf", "docx", "PIL", "redis", "fastmcp_tasks")


class Failed(Exception):
    """A command of an installer failed; the text is the command and the end of what it said."""


@dataclass(frozen=True)
class Source:
    """What is installed, in pip's words for it."""

    wheel: str
    sdist: str
    sdist_words: tuple[str, ...] = ()
    #: Whether it comes from the index, whose newest answer is asked for.
    published: bool = False


@dataclass(frozen=True)
class Tools:
    """uv and pipx, in an environment of their own."""

    folder: Path

    def program(self, name: str) -> str:
        """Return the path of one of them."""
        return program(self.folder, name)


def program(environment: Path, name: str) -> str:
    """Return the path of a program in a virtual environment."""
    windows = os.name == "nt"
    return str(
        environment / ("Scripts" if windows else "bin") / (f"{name}.exe" if windows else name)
    )


def run(words: Sequence[str], **more: str) -> str:
    """Run a command quietly, away from this repository, and return its stdout; raises Failed."""
    # what an environment of ours says of itself would lead installers astray
    inherited = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    try:
        ran = subprocess.run(
            list(words), cwd=tempfile.gettempdir(), env={**inherited, **more}, check=False,
            capture_output=True, text=True, errors="replace", timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed(f"`{' '.join(words)}` takes more than {PATIENCE} s") from None
    except OSError as error:
        raise Failed(f"`{words[0]}` cannot be started: {error}") from None
    if ran.returncode:
        raise Failed(f"`{' '.join(words)}` failed:\n{(ran.stdout + ran.stderr).strip()[-3000:]}")
    return ran.stdout


def bring_tools(folder: Path) -> Tools:
    """Install uv and pipx, as they are today, for that is what people have; raises Failed."""
    environment = _environment(sys.executable, folder)
    run([program(environment, "pip"), *_PIP, "uv", "pipx"])
    return Tools(environment)


def build(tools: Tools, sources: Path, into: Path) -> Source:
    """Build wheel and sdist, the wheel from the sdist; raises Failed."""
    run([tools.program("uv"), "build", "--quiet", "--out-dir", str(into), str(sources)])
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return Source(wheel=str(wheel), sdist=str(sdist))


def published(version: str) -> Source:
    """Return the source that is one version on the index."""
    pinned = f"{NAME}=={version}"
    return Source(pinned, pinned, ("--no-binary", NAME), published=True)


def by_pip(source: Source, python: Python, tools: Tools, room: Path) -> list[str]:
    """Install the wheel by pip, and see that what it needs fits together."""
    environment = _environment(python.program, room / "pip")
    run([program(environment, "pip"), *_PIP, source.wheel])
    run([program(environment, "pip"), "check"])
    return [program(environment, NAME)]


def by_pip_with_extras(source: Source, python: Python, tools: Tools, room: Path) -> list[str]:
    """Install the wheel with all extras by pip, and import what they bring."""
    environment = _environment(python.program, room / "extras")
    name, _, version = source.wheel.partition("==")
    wanted = f"{name}[all]=={version}" if source.published else f"{source.wheel}[all]"
    run([program(environment, "pip"), *_PIP, wanted])
    run([program(environment, "pip"), "check"])
    run([program(environment, "python"), "-c", f"import {', '.join(EXTRAS)}"])
    return [program(environment, "python"), "-m", "ollama_mcp_server"]


def by_sdist(source: Source, python: Python, tools: Tools, room: Path) -> list[str]:
    """Install the sdist by pip, which builds it."""
    environment = _environment(python.program, room / "sdist")
    run([program(environment, "pip"), *_PIP, *source.sdist_words, source.sdist])
    return [program(environment, NAME)]


def by_pipx(source: Source, python: Python, tools: Tools, room: Path) -> list[str]:
    """Install the wheel by pipx, in a home of its own."""
    home = room / "pipx"
    places = {"PIPX_HOME": str(home), "PIPX_BIN_DIR": str(home / "bin"), "PIPX_MAN_DIR": str(home)}
    run([tools.program("pipx"), "install", "--python", python.program, source.wheel], **places)
    return [str(home / "bin" / (f"{NAME}.exe" if os.name == "nt" else NAME))]


def by_uvx(source: Source, python: Python, tools: Tools, room: Path) -> list[str]:
    """Run the wheel by uvx, as the hosts' configurations do."""
    command = [tools.program("uvx"), "--python", python.program, "--from", source.wheel, NAME]
    run([*command, "--version"])  # the first start downloads, and a host's patience is short
    return command


Way = Callable[[Source, Python, Tools, Path], list[str]]
WAYS: dict[str, Way] = {
    "pip": by_pip,
    "pip, all extras": by_pip_with_extras,
    "sdist by pip": by_sdist,
    "pipx": by_pipx,
    "uvx": by_uvx,
}
_PIP = ("install", "--quiet", "--disable-pip-version-check")


def _environment(python: str, folder: Path) -> Path:
    run([python, "-m", "venv", str(folder)])
    return folder

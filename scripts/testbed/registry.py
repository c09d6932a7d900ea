"""A registry of our own for pull and push: Debian's docker-registry and a blob server.

A model of it is named ``f"{registry.name}/some/model:tag"``, and pull and push take
``insecure: true``, for it speaks plain HTTP.
"""

from __future__ import annotations

import os
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .blobs import BlobServer, Faults
from .cache import locked
from .packages import take_from_deb
from .processes import Child, free_port, spawn
from .steps import SetupError
from .stoppable import Stoppable

_PATIENCE = 20.0  # seconds to answer; it takes 0.1 on an idle machine
# Blobs are redirected to "localhost", which for Ollama is another host than 127.0.0.1.
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: '{data}'}}
  delete: {{enabled: true}}
middleware:
  storage:
    - name: redirect
      options: {{baseurl: 'http://localhost:{blob_port}'}}
http: {{addr: '127.0.0.1:{port}', secret: testbed}}
"""


@dataclass
class Registry(Stoppable):
    """A running registry, empty at first."""

    name: str
    """Host and port, the first part of the names of its models."""
    _child: Child
    _blobs: BlobServer
    _folder: TemporaryDirectory[str]

    def faults(
        self,
        *,
        rate: float = 0,
        cut: int = 0,
        flip: bool = False,
        status: int = 0,
        delay: float = 0,
    ) -> None:
        """Set what goes wrong in downloads from now on, as in `Faults`."""
        self._blobs.faults = Faults(rate, cut, flip, status, delay)

    def stop(self) -> None:
        """Stop it and forget its models."""
        self._child.stop()
        self._blobs.stop()
        self._folder.cleanup()


def start(cache: Path) -> Registry:
    """Start an empty registry, fetching the program (5 MB) the first time.

    Raises SetupError when it cannot be had, as on a machine without apt, or does not start.
    """
    program = cache / "registry" / "docker-registry"
    with locked(cache):
        if not program.exists():
            take_from_deb("docker-registry", "usr/bin/docker-registry", program, cache)
    folder = TemporaryDirectory(dir=cache / "registry")
    data, config = Path(folder.name, "data"), Path(folder.name, "config.yml")
    data.mkdir()
    blobs = BlobServer(data)
    port = free_port()
    config.write_text(_CONFIG.format(data=data, blob_port=blobs.server_port, port=port))
    log = cache / "logs" / f"registry-{port}.log"
    child = spawn([program, "serve", config], log, os.environ)
    registry = Registry(f"127.0.0.1:{port}", child, blobs, folder)
    deadline = time.monotonic() + _PATIENCE
    while not _answers(registry):
        if child.process.poll() is not None or time.monotonic() > deadline:
            registry.stop()
            raise SetupError(f"docker-registry did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.03)
    return registry


def _answers(registry: Registry) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{registry.name}/v2/", timeout=2):
            return True
    except OSError:
        return False

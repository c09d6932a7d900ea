"""One of several servers: a process that can be killed, and started again where it was."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.testbed.processes import Child, spawn
from scripts.testbed.steps import SetupError
from scripts.testbed.stoppable import Stoppable

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0  # seconds to answer; it takes 2 on an idle machine
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Replica(Stoppable):
    """A server with the gateway, over HTTP at a port of its own."""

    name: str
    port: int
    log: Path
    _env: Mapping[str, str]
    _child: Child | None = None

    @property
    def address(self) -> str:
        """Where it is, as HAProxy takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it was begun, and not stopped or killed since."""
        return self._child is not None

    def begin(self) -> None:
        """Start it; `until_ready` waits for it."""
        words = [sys.executable, "-m", "ollama_mcp_server", "--transport", "http", "--gateway"]
        self._child = spawn([*words, "--port", str(self.port)], self.log, self._env)

    def until_ready(self) -> None:
        """Wait until it answers.

        Raises:
            SetupError: it has ended, or does not answer in time.
        """
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            ended = self._child is None or self._child.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise SetupError(f"{self.name} did not come up: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash does: nothing is finished, nobody is told."""
        assert self._child
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Stop it, and wait for the end."""
        if self._child:
            self._child.stop()
            self._child = None

    def _answers(self) -> bool:
        try:
            with _OPENER.open(f"http://{self.address}/health", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the variables of a server that is given these settings, and none of this user's."""
    kept = {name: value for name, value in os.environ.items() if "OLLAMA_" not in name}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": os.devnull,
        "PYTHONPATH": str(ROOT),
        "OLLAMA_MCP_START_DAEMON": "never",
        **settings,
    }

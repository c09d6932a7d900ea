"""`ollama-mcp-server doctor` with a real daemon, which it starts where there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import models
from scripts.testbed.processes import free_port
from tests.commands.terminal import environment
from tests.live.started import PROGRAM, daemons, served, store
from tests.live.workplaces import wait_for
from tests.wire import COMMAND, ROOT

pytestmark = pytest.mark.live


def doctor(home: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit status and what it printed."""
    told = {"OLLAMA_MCP_PORT": str(free_port()), **variables}
    ran = subprocess.run(
        [*COMMAND, "doctor", "--json", *arguments],
        cwd=home,
        env={**environment(home), **told},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_fix_starts_a_daemon_that_stays_and_all_is_well(ollama_pid: int, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "ollama").symlink_to(PROGRAM)
    try:
        status, told = doctor(
            tmp_path,
            "--fix",
            "--yes",
            PATH=f"{tmp_path}:{os.environ['PATH']}",
            OLLAMA_HOST=f"127.0.0.1:{port}",
            OLLAMA_MODELS=str(store()),
            OLLAMA_NOPRUNE="1",
            OLLAMA_MCP_MODEL=models.TOOLS,
        )
        found = {check["name"]: check for check in told["checks"]}
        assert status == 0, told
        assert found["daemon"]["status"] == found["models"]["status"] == "ok"
        assert models.TOOLS in found["chat"]["found"]
        assert "PU" in found["gpu"]["found"], "it runs on one or the other"
        assert len(served(port)) == 1
    finally:
        for pid in served(port):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not daemons(port), 10)


def test_a_model_chats_and_calls_tools_and_a_client_has_the_server(
    ollama_host: str, tmp_path: Path
) -> None:
    entry = {"command": sys.executable, "args": ["-m", "ollama_mcp_server"]}
    entry["env"] = {"OLLAMA_HOST": ollama_host, "PYTHONPATH": str(ROOT)}
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor/mcp.json").write_text(json.dumps({"mcpServers": {"ollama": entry}}))
    status, told = doctor(tmp_path, "--model", models.TOOLS, OLLAMA_HOST=ollama_host)
    found = {check["name"]: check for check in told["checks"]}
    assert found["client cursor"]["status"] == "ok"
    assert models.TOOLS in found["chat"]["found"]
    assert told["tools"]["model"].startswith(models.TOOLS)
    assert len(told["tools"]["probes"][told["tools"]["mode"]]) > 3
    passed = all(probe["passed"] for probe in told["tools"]["probes"][told["tools"]["mode"]])
    assert status == (0 if passed else 1)

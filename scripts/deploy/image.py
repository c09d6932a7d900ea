"""The image, really built and run where there is no Docker: by buildah, on a base made by hand.

The base is Debian's own Python, under the name of the one that the Dockerfile asks for. It needs
root, on a Debian.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.testbed.cache import filling
from scripts.testbed.processes import free_port
from scripts.testbed.steps import SetupError, execute, tell

ROOT = Path(__file__).parents[2]
NAME = "localhost/ollama-mcp-server"
PROGRAMS = ("buildah", "mmdebstrap")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TOKEN = "0123456789abcdef"
#: Largest that the server may add to its base, in MB.
LARGEST = 200.0
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "check", "version": "1"},
    },
}  # fmt: skip


def check(room: Path) -> str:
    """Build the image, run it over stdio and HTTP, and return what was seen.

    Raises SetupError for what cannot be done here, AssertionError for what is wrong.
    """
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError("to build the image, be root on a Debian: sudo make deploy-check")
    if not all(map(shutil.which, PROGRAMS)):
        execute(["apt-get", "-qq", "update"])
        execute(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *PROGRAMS])
    dockerfile = (ROOT / "Dockerfile").read_text()
    (base,) = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    version, release = re.fullmatch(r"python:([\d.]+)-slim-(\w+)", base).groups()  # type: ignore[union-attr]
    files = _base(room, release)
    store = room / "containers"
    shutil.rmtree(store, ignore_errors=True)
    buildah: list[str | Path] = ["buildah", "--root", store / "root", "--runroot", store / "run"]
    # layers by the kernel, but where the folder is on such a layer already
    kind = execute(["stat", "--file-system", "--format=%T", room]).strip()
    buildah += ["--storage-driver", "vfs" if "overlay" in kind else "overlay"]
    try:
        made = execute([*buildah, "from", "scratch"]).strip()
        tell("bringing the base to buildah")
        execute([*buildah, "add", "--quiet", made, files, "/"])
        execute([*buildah, "commit", "--quiet", "--rm", made, f"docker.io/library/{base}"])
        tell("building the image")
        words = ["build", "--quiet", "--pull-never", "--isolation", "chroot", "--format", "docker"]
        execute([*buildah, *words, "--tag", NAME, ROOT])
        tell("running the image")
        told = json.loads(execute([*buildah, "inspect", "--type", "image", NAME]))["Docker"]
        made = execute([*buildah, "from", "--pull-never", NAME]).strip()
        folder = Path(execute([*buildah, "mount", made]).strip())
        found = execute(["chroot", folder, "python", "--version"]).split()[-1]
        assert found.startswith(f"{version}."), f"the base has Python {found}"
        return _try(folder, told["config"])
    finally:
        subprocess.run([*buildah, "rm", "--all"], capture_output=True, check=False)
        shutil.rmtree(store, ignore_errors=True)


def _base(room: Path, release: str) -> Path:
    """Return the files of the base, as an archive."""
    home = room / f"base-{release}"
    if not home.exists():
        tell(f"making a base of Debian {release} with Python")
        with filling(home) as target:
            # where the machine has authorities of its own, the build meets them too
            config = target / "pip.conf"
            config.write_text(f"[global]\ncert = {CERTIFICATES}\n")
            hooks = [
                f"--customize-hook=copy-in {CERTIFICATES} {CERTIFICATES.parent}",
                f"--customize-hook=copy-in {config} /etc",
                '--customize-hook=ln -s python3 "$1/usr/bin/python"',
                '--customize-hook=rm -rf "$1"/usr/share/doc "$1"/usr/share/locale',
            ]
            packages = "--include=python3,python3-pip,ca-certificates"
            words = ["--quiet", "--variant=essential", packages, "--dpkgopt=force-unsafe-io"]
            execute(["mmdebstrap", *words, *hooks, release, target / "base.tar"])
    return home / "base.tar"


def _try(folder: Path, config: dict[str, Any]) -> str:
    """Run what was built: as its user, as process 1, its files read-only."""
    size = float(execute(["du", "--summarize", "--bytes", folder / "app"]).split()[0]) / 1e6
    assert size < LARGEST, f"/app has {size:.0f} MB, more than {LARGEST:.0f}"
    user = config["User"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"the user is {user}"
    name = json.loads((ROOT / "server.json").read_text())["name"]
    assert config["Labels"]["io.modelcontextprotocol.server.name"] == name
    with _started(folder, config) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(HELLO).encode() + b"\n")
        server.stdin.flush()
        said = json.loads(server.stdout.readline())
        assert said["result"]["serverInfo"]["name"] == "ollama-mcp-server", said
        over_stdio = _stop(server)  # with its stdin open, as a terminal's or a host's
    port = str(free_port())
    settings = {
        "OLLAMA_MCP_TRANSPORT": "http",
        "OLLAMA_MCP_PORT": port,
        "OLLAMA_MCP_AUTH_TOKEN": TOKEN,
    }
    with _started(folder, config, settings) as server:
        _healthy(folder, config, settings)
        over_http = _stop(server)
        assert not _health(folder, config, settings), "a server that is gone counts as healthy"
    return f"/app {size:.0f} MB, user {user}, stops in {over_stdio:.1f} s and {over_http:.1f} s"


def _command(
    folder: Path, config: dict[str, Any], program: list[str], settings: dict[str, str]
) -> list[str]:
    """Return the command that runs something in the image, with its environment."""
    given = list(config["Env"])
    given += [f"{name}={value}" for name, value in settings.items()]
    inside = ["chroot", f"--userspec={config['User']}", str(folder), "env", "-i", *given, *program]
    # A namespace where it is process 1, as in a container, and one where its files are read-only.
    alone = (
        f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" && exec "$@"'
    )
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"]
    return [*words, f'{alone} && exec "$@"', "sh", *inside]


@contextmanager
def _started(
    folder: Path, config: dict[str, Any], settings: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    words = _command(folder, config, config["Entrypoint"], settings or {})
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as server:
        try:
            yield server
        finally:
            server.kill()


def _stop(server: subprocess.Popen[bytes]) -> float:
    """Send process 1 of the namespace a SIGTERM; return the seconds until it was gone."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    began = time.monotonic()
    os.kill(int(children[0]), signal.SIGTERM)
    try:
        server.wait(timeout=8)
    except subprocess.TimeoutExpired:
        raise AssertionError("as process 1 it does not stop at SIGTERM") from None
    return time.monotonic() - began


def _healthy(folder: Path, config: dict[str, Any], settings: dict[str, str]) -> None:
    deadline = time.monotonic() + 30
    while not _health(folder, config, settings):
        assert time.monotonic() < deadline, "over HTTP it does not become healthy"
        time.sleep(0.2)


def _health(folder: Path, config: dict[str, Any], settings: dict[str, str]) -> bool:
    """Run the image's own health check once."""
    words = _command(folder, config, config["Healthcheck"]["Test"][1:], settings)
    return subprocess.run(words, capture_output=True, check=False).returncode == 0

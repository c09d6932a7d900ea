"""Look at everything that is deployed and published: `make deploy-check`.

Each file is read by the tool that will read it, or one of its makers': no network is needed once
the validators are in the cache. The image is built and run as well; `--no-image` leaves that out.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import jsonschema

from scripts.testbed import cache
from scripts.testbed.steps import SetupError, execute

from . import bundle, image
from .validators import Validators, bring, server_schema

ROOT = bundle.ROOT
DEPLOY = ROOT / "deploy"
#: Kubernetes: the newest, and the oldest that has all that is used.
KUBERNETES = ("1.37", "1.30")
Outcome = tuple[str, bool, str]


def main() -> int:
    """Check all, say for each what came out, and return the exit status."""
    room = cache.folder() / "deploy"
    # The image waits for downloads most of the time: the rest goes on beside it.
    with ThreadPoolExecutor(1) as beside:
        image_too = "--no-image" not in sys.argv
        built = [beside.submit(_tried, "image", lambda: image.check(room))] if image_too else []
        try:
            tools = bring(cache.folder())
        except SetupError as error:
            print(error, file=sys.stderr)
            return 1
        outcomes = [_tried(name, check) for name, check in checks(tools).items()]
        outcomes += [one.result() for one in built]
    good = [one for one in outcomes if one[1]]
    print(f"{len(good)} passed, {len(outcomes) - len(good)} failed")
    return 0 if len(good) == len(outcomes) else 1


def checks(tools: Validators) -> dict[str, Callable[[], str]]:
    """Return the checks by name; each returns what it looked at, or raises."""

    def run(program: str, *words: object) -> str:
        return execute([tools.program(program), *map(str, words)], env=tools.environment)

    def compose() -> str:
        needed = {
            "OLLAMA_MCP_AUTH_TOKEN": "0123456789abcdef",
            "OLLAMA_MCP_REQUEST_STATE_KEY": "0123456789abcdef" * 2,
            "GRAFANA_PASSWORD": "grafana",
        }
        files = [ROOT / "compose.yaml", DEPLOY / "compose.scale.yaml"]
        for file in files:
            execute([tools.program("compose"), file], env={**os.environ, **needed})
        return _names(files)

    def kubernetes() -> str:
        other = {"kustomization.yaml", "adapter-values.yaml", "scrape.yaml"}
        files = [one for one in sorted((DEPLOY / "kubernetes").iterdir()) if one.name not in other]
        for version in KUBERNETES:
            words = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version]
            execute([*words, *files], env=tools.environment)
        return f"{_names(files)} against {' and '.join(KUBERNETES)}"

    def haproxy() -> str:
        run("haproxy", "-c", "-f", DEPLOY / "haproxy/haproxy.cfg")
        return "haproxy.cfg"

    def prometheus() -> str:
        folder = DEPLOY / "prometheus"
        run("promtool", "check", "config", "--syntax-only", folder / "prometheus.yml")
        run("promtool", "check", "rules", folder / "alerts.yml")
        run("promtool", "test", "rules", folder / "alerts.test.yml")
        # Debian's promtool is built without Kubernetes
        finding = r"(?m)^  kubernetes_sd_configs:\n(    .*\n)+"
        scraped = re.sub(finding, "", (DEPLOY / "kubernetes/scrape.yaml").read_text())
        with TemporaryDirectory() as name:
            file = Path(name, "prometheus.yml")
            file.write_text(f"scrape_configs:\n{scraped}")
            run("promtool", "check", "config", "--syntax-only", file)
        return "prometheus.yml, alerts.yml and their tests, scrape.yaml"

    def dashboard() -> str:
        board = json.loads((DEPLOY / "grafana/dashboards/ollama-mcp-server.json").read_text())
        asked = [one["expr"] for panel in board["panels"] for one in panel["targets"]]
        rules = [
            {"record": f"asked:{number}", "expr": asking.replace("$__rate_interval", "5m")}
            for number, asking in enumerate(asked)
        ]
        with TemporaryDirectory() as name:
            file = Path(name, "asked.yml")  # JSON is YAML
            file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
            run("promtool", "check", "rules", file)
        return f"{len(asked)} queries"

    def dockerfile() -> str:
        run("hadolint", ROOT / "Dockerfile")
        return "Dockerfile"

    def workflows() -> str:
        files = sorted((ROOT / ".github/workflows").glob("*.yml"))
        run("actionlint", "-shellcheck", tools.program("shellcheck"), "-pyflakes=", *files)
        return _names(files)

    def registry() -> str:
        schema = json.loads(server_schema(cache.folder()).read_text())
        jsonschema.validate(json.loads((ROOT / "server.json").read_text()), schema)
        return "server.json"

    def mcpb() -> str:
        with TemporaryDirectory() as name:
            return f"{bundle.pack(Path(name)).stat().st_size / 1e6:.1f} MB"

    return {
        "compose": compose, "kubernetes": kubernetes, "haproxy": haproxy,
        "prometheus": prometheus, "grafana": dashboard, "hadolint": dockerfile,
        "actionlint": workflows, "mcp registry": registry, "mcpb": mcpb,
    }  # fmt: skip


def _tried(name: str, check: Callable[[], str]) -> Outcome:
    began = time.monotonic()
    try:
        told, passed = check(), True
    except (AssertionError, SetupError, jsonschema.ValidationError) as error:
        told, passed = str(error), False
    seconds = time.monotonic() - began
    print(f"{'ok  ' if passed else 'FAIL'} {name:13} {seconds:5.1f} s  {told}", flush=True)
    return name, passed, told


def _names(files: list[Path]) -> str:
    return ", ".join(file.name for file in files)


if __name__ == "__main__":
    sys.exit(main())

"""What is deployed and published agrees with the code: names, versions, ports, metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_mcp_server import __version__
from ollama_mcp_server.gateway.access.scopes import scope_of
from ollama_mcp_server.gateway.observability.metrics import Metrics
from ollama_mcp_server.settings import Settings, variable

ROOT = Path(__file__).parent.parent
KUBERNETES = ROOT / "deploy/kubernetes"
COMPOSE = [ROOT / "compose.yaml", ROOT / "deploy/compose.scale.yaml"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
#: What is written for people or tools to start the server by.
FILES = [
    *COMPOSE,
    ROOT / "Dockerfile",
    ROOT / "server.json",
    ROOT / "smithery.yaml",
    ROOT / "bundle/manifest.json",
    ROOT / ".vscode/mcp.json",
    ROOT / "docs/deployment.md",
    *sorted((ROOT / "deploy").rglob("*.y*ml")),
    *WORKFLOWS,
]
VARIABLES = {variable(name): name for name in Settings.model_fields}
#: Ollama's own, which its containers get.
OLLAMAS = {"OLLAMA_NOPRUNE"}
IMAGE = "ghcr.io/ollama-mcp-server/ollama-mcp-server"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(read(path)))


def metrics() -> set[str]:
    """The names of all series that /metrics has, those of things that did not happen yet too."""
    seen: set[str] = set()
    for metric in Metrics().registry.collect():
        if not metric.name.startswith("ollama_mcp_"):
            continue
        kinds = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
        seen |= {metric.name + end for end in kinds.get(metric.type, [""])}
    return seen


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        read(ROOT / "deploy/grafana/dashboards/ollama-mcp-server.json")
    )
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_variable_that_a_file_names_is_a_setting(file: Path) -> None:
    used = set(re.findall(r"\bOLLAMA_[A-Z_]*[A-Z]\b", read(file)))
    assert used <= VARIABLES.keys() | OLLAMAS


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_image_of_ours_has_this_version(file: Path) -> None:
    for tag in re.findall(re.escape(IMAGE) + r":([\w.-]+)", read(file)):
        assert tag == __version__


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_a_compose_file_s_server_starts_with_what_it_is_given(file: Path) -> None:
    (composed,) = documents(file)
    server = composed["services"]["mcp"]
    token = "0123456789abcdef" * 2
    given = {name: re.sub(r"\$\{\w+[^}]*\}+", token, value) for name, value in
             server["environment"].items()}  # fmt: skip
    settings = Settings(**{VARIABLES[name]: value for name, value in given.items()})
    assert settings.transport == "http"
    assert settings.port == 8000
    assert settings.address.url.startswith("http://")
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["image"] == f"{IMAGE}:{__version__}"


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_nothing_of_compose_is_reached_from_other_machines(file: Path) -> None:
    (composed,) = documents(file)
    published = [
        one for service in composed["services"].values() for one in service.get("ports", [])
    ]
    assert published
    assert all(str(one).startswith("127.0.0.1:") for one in published)


def test_the_scaled_servers_share_their_state_and_one_address_of_several_ollamas() -> None:
    (composed,) = documents(ROOT / "deploy/compose.scale.yaml")
    services = composed["services"]
    given = services["mcp"]["environment"]
    balancer = read(ROOT / "deploy/haproxy/haproxy.cfg")
    ollamas = [name for name in services if name.startswith("ollama-")]
    assert len(ollamas) > 1
    for name in ollamas:
        assert re.search(rf"server {name} {name}:11434$", balancer, re.MULTILINE)
    assert given["OLLAMA_HOST"] == "balancer:11434"
    assert "bind :11434" in balancer
    assert given["OLLAMA_MCP_STATE_URL"] == "valkey://valkey:6379/0"
    assert services["mcp"]["deploy"]["replicas"] > 1
    most = {int(found) for found in re.findall(r"server-template mcp- (\d+) mcp:8000", balancer)}
    assert len(most) == 1
    assert services["mcp"]["deploy"]["replicas"] <= most.pop()


def test_the_balancer_keeps_sessions_by_the_protocol_s_header() -> None:
    balancer = read(ROOT / "deploy/haproxy/haproxy.cfg")
    assert "stick match req.hdr(Mcp-Session-Id)" in balancer
    assert "stick store-response res.hdr(Mcp-Session-Id)" in balancer


def test_prometheus_asks_what_a_token_opens() -> None:
    assert scope_of("GET", "/metrics", "/mcp") == "read"
    (config,) = documents(ROOT / "deploy/prometheus/prometheus.yml")
    (job,) = config["scrape_configs"]
    secret = job["authorization"]["credentials_file"]
    (composed,) = documents(ROOT / "deploy/compose.scale.yaml")
    assert secret == f"/run/secrets/{composed['services']['prometheus']['secrets'][0]}"
    (scraped,) = documents(KUBERNETES / "scrape.yaml")[0]
    assert scraped["authorization"]["credentials_file"]
    assert job["job_name"] == scraped["job_name"]


def test_every_metric_of_the_dashboard_is_one_of_ours() -> None:
    asked = [one["expr"] for panel in dashboard()["panels"] for one in panel["targets"]]
    used = {name for expression in asked for name in re.findall(r"ollama_mcp_\w+", expression)}
    assert used <= metrics()


@pytest.mark.parametrize(
    "file",
    [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts.test.yml",
        "deploy/kubernetes/autoscaler.yaml",
        "deploy/kubernetes/adapter-values.yaml",
    ],
)
def test_every_metric_of_rules_is_one_of_ours(file: str) -> None:
    used = set(re.findall(r"\bollama_mcp_\w+", read(ROOT / file)))
    assert used
    assert used <= metrics()


def test_the_dashboard_s_panels_have_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_kubernetes_has_what_it_lists_and_one_name_for_all() -> None:
    (listed,) = documents(KUBERNETES / "kustomization.yaml")
    found = [one for file in listed["resources"] for one in documents(KUBERNETES / file)]
    ours = [one for one in found if one["metadata"]["name"] == "ollama-mcp-server"]
    assert {one["kind"] for one in ours} == {
        "ConfigMap", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget",
        "NetworkPolicy",
    }  # fmt: skip
    kinds = {one["kind"]: one for one in ours}
    assert listed["images"] == [{"name": IMAGE, "newTag": __version__}]
    pod = kinds["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "ollama-mcp-server")


def test_kubernetes_gives_the_servers_nothing_they_need_not() -> None:
    for file in ("deployment.yaml", "ollama.yaml", "valkey.yaml"):
        pod = documents(KUBERNETES / file)[0]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        # or a Service's name could make variables that read like settings
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}


def test_kubernetes_asks_what_needs_no_key_and_waits_for_answers_to_end() -> None:
    (deployment,) = documents(KUBERNETES / "deployment.yaml")
    (configured,) = documents(KUBERNETES / "settings.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert scope_of("GET", path, "/mcp") == "open"
    given = {VARIABLES[name]: value for name, value in configured["data"].items()}
    settings = Settings(**given)
    assert container["ports"] == [{"name": "http", "containerPort": settings.port}]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > before + settings.shutdown_seconds
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}" in read(ROOT / "Dockerfile")


def test_the_registries_files_name_this_version_and_the_settings_own_words() -> None:
    listed = json.loads(read(ROOT / "server.json"))
    assert listed["version"] == __version__
    for package in listed["packages"]:
        assert package.get("version", package["identifier"].rpartition(":")[2]) == __version__
        for given in package["environmentVariables"]:
            field = Settings.model_fields[VARIABLES[given["name"]]]
            assert given["description"] == field.description
    name = listed["name"]
    assert f"<!-- mcp-name: {name} -->" in read(ROOT / "README.md")
    assert f'io.modelcontextprotocol.server.name="{name}"' in read(ROOT / "Dockerfile")
    manifest = json.loads(read(ROOT / "bundle/manifest.json"))
    assert manifest["version"] == __version__
    assert (ROOT / "bundle" / manifest["icon"]).read_bytes().startswith(b"\x89PNG")
    (catalog,) = documents(ROOT / "deploy/catalog/server.yaml")
    assert manifest["description"] == listed["description"] == catalog["about"]["description"]


def test_the_bundle_sets_what_its_user_is_asked_for() -> None:
    manifest = json.loads(read(ROOT / "bundle/manifest.json"))
    given = manifest["server"]["mcp_config"]["env"]
    asked = {re.fullmatch(r"\$\{user_config\.(\w+)\}", value)[1] for value in given.values()}  # type: ignore[index]
    assert asked == manifest["user_config"].keys()
    assert manifest["user_config"]["ollama_host"]["default"] == Settings().ollama_host
    assert (ROOT / manifest["server"]["entry_point"]).is_file()


def test_docker_s_catalog_takes_the_title_and_every_parameter() -> None:
    (catalog,) = documents(ROOT / "deploy/catalog/server.yaml")
    assert not re.search("mcp|server", catalog["about"]["title"], re.IGNORECASE)
    assert re.fullmatch(r"[0-9a-f]{40}", catalog["source"]["commit"])
    known = catalog["config"]["parameters"]["properties"]
    for value in catalog["run"]["env"].values():
        name, _, parameter = value.strip("{}").partition(".")
        assert name == catalog["name"]
        assert known[parameter]["description"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_pins_its_actions_and_asks_for_few_rights(file: Path) -> None:
    (workflow,) = documents(file)
    assert workflow["permissions"] == {"contents": "read"}
    used = re.findall(r"uses: (\S+)(.*)", read(file))
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)

"""What the documentation shows of files: TOML, YAML, systemd's, PromQL, Python."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from fastmcp import Client

from ollama_mcp_server.app import App
from ollama_mcp_server.clients.catalogue import CLIENTS
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings, config_file, variable
from tests.fake_ollama import FakeOllama
from tests.test_deploy import metrics

from .blocks import ROOT, Block, blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: What each language is looked at by; where nothing of ours is in it, why not.
LANGUAGES = {
    "": "it is for people",
    "bash": "test_commands.py",
    "caddy": "tests/proof: by Caddy",
    "console": "test_commands.py",
    "ini": "here",
    "json": "test_examples.py",
    "nginx": "tests/proof: by nginx",
    "promql": "here",
    "python": "here, and tests/gateway/test_guide.py",
    "sh": "test_commands.py",
    "text": "it is for people",
    "toml": "here",
    "yaml": "here",
}
SETTINGS = {variable(name) for name in Settings.model_fields}


def test_every_block_says_its_language() -> None:
    assert {block.language for block in blocks()} == LANGUAGES.keys()


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_toml_file_is_settings_of_ours_or_an_entry_of_codex(block: Block) -> None:
    told = tomllib.loads(block.text)
    codex = CLIENTS["codex"].container
    if codex in told:
        for entry in told[codex].values():
            assert entry.get("url", "https://").startswith("https://")
            assert entry.get("args", ["ollama-mcp-server"]) == ["ollama-mcp-server"]
            assert entry.get("env", {}).keys() <= SETTINGS
        return
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(block.text)
    assert Settings().model_fields_set >= told.keys()


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_yaml_file_names_what_is_ours_by_its_name(block: Block) -> None:
    (told,) = yaml.safe_load_all(block.text)
    assert isinstance(told, dict)
    if told.get("kind") == "Ingress":
        services = yaml.safe_load_all((ROOT / "deploy/kubernetes/service.yaml").read_text())
        there = {
            (one["metadata"]["name"], port["name"])
            for one in services
            for port in one["spec"]["ports"]
        }
        for rule in told["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                assert (service["name"], service["port"]["name"]) in there
    elif "extensions" in told:
        client = CLIENTS["goose"]
        [(name, entry)] = told[client.container].items()
        command, env = client.launch(entry)
        assert entry == client.entry(name, command, env)
    else:
        assert "scrape_configs" in told or "receivers" in told, told.keys()


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_a_unit_of_systemd_starts_the_command(block: Block) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(block.text)
    assert unit["Service"]["ExecStart"].endswith("/bin/ollama-mcp-server")
    variables = dict(word.split("=", 1) for word in unit["Service"]["Environment"].split())
    assert variables.keys() <= SETTINGS
    assert float(unit["Service"]["TimeoutStopSec"]) > Settings().shutdown_seconds


@pytest.mark.parametrize("block", blocks("promql"), ids=str)
def test_a_query_asks_for_series_that_there_are(block: Block) -> None:
    asked = set(re.findall(r"ollama_mcp_\w+", block.text))
    assert asked
    assert asked <= metrics()


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_program_imports_what_there_is(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            assert all(import_module(alias.name) for alias in node.names)


async def test_the_tool_of_the_architecture_works_in_a_folder_of_ones_own(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    [block] = [one for one in blocks("python") if one.page.name == "architecture.md"]
    (tmp_path / "largest.py").write_text(block.text)
    app = App(Settings(ollama_host=daemon.url, tools_dir=tmp_path))
    async with Client(build_server(app)) as client:
        said = await client.call_tool("ollama_largest", {})
    assert said.structured_content is not None
    assert said.structured_content["size"] > 0

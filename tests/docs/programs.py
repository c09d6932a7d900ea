"""What the programs in the documentation's command lines are, and how their words are looked at."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import metadata

from mcp.types import client_request_adapter

from ollama_mcp_server import cli
from ollama_mcp_server.flags import COMMANDS, add_flags, settings_of
from ollama_mcp_server.gateway.access.scopes import scope_of

from .blocks import ROOT

NAME = "ollama-mcp-server"
#: Commands that are not parsed, and why. Names of variables and files in them are looked at.
UNTRIED = {
    "az": "needs an account of Azure",
    "cloudflared": "needs an account of Cloudflare",
    "gcloud": "needs an account of Google Cloud",
    "git": "pipes its diff to a command that is parsed",
    "helm": "needs a cluster",
    "openssl": "makes a secret",
    "printf": "feeds a command that is known",
    "python3": "makes the environment on a server; else test_commands.py runs it",
    "source": "takes what a command prints that is parsed",
    "useradd": "makes the user on a server",
    "install": "writes the settings on a server",
}
Check = Callable[[list[str]], None]


def ours(words: list[str]) -> None:
    """A command line of this server's: its flags, or those of its command, and what they say."""
    if {"--help", "--version"} & set(words):
        return
    if words and words[0] in COMMANDS:
        command = import_module(f"ollama_mcp_server.commands.{words[0]}")
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        add_flags(parser, command.SETTINGS)
        settings_of(parser.parse_intermixed_args(words[1:]), command.SETTINGS)
    else:
        cli.read_settings(words)


def uvx(words: list[str]) -> None:
    left = list(words)
    while left and left[0] in {"--from", "--with"}:
        del left[:2]
    if left[:1] == ["opentelemetry-instrument"]:
        del left[0]
    assert left[:1] == [NAME]
    ours(left[1:])


def host(words: list[str]) -> None:
    """`claude`, `codex`, `gemini`: the server's command, or its address with a header."""
    assert words[:2] == ["mcp", "add"]
    if "--transport" in words:
        assert words[2:5] == ["--transport", "http", "ollama"]
        assert words[5].endswith("/mcp")
        assert words[6:7] == ["--header"]
    else:
        uvx(words[words.index("uvx") + 1 :])


def code(words: list[str]) -> None:
    assert words[0] == "--add-mcp"
    entry = json.loads(words[1])
    assert entry["command"] == "uvx"
    uvx(entry["args"])


def docker(words: list[str]) -> None:
    if words[0] == "compose":
        files = [words[at + 1] for at, word in enumerate(words) if word == "-f"]
        assert all((ROOT / file).is_file() for file in files or ["compose.yaml"])
    elif words[0] == "run":
        [image] = [at for at, word in enumerate(words) if re.search(rf"(^|/){NAME}(:|$)", word)]
        ours(words[image + 1 :])
    else:
        assert words == ["build", "-t", words[2], "."]


def curl(words: list[str]) -> None:
    """A route of the gateway's, with a body that is JSON."""
    [url] = [word for word in words if word.startswith("http")]
    path = re.sub(r"https?://[^/]+", "", url)
    bodies = [words[at + 1] for at, word in enumerate(words) if word == "-d"]
    method = "POST" if bodies or "POST" in words else "GET"
    assert scope_of(method, path, "/mcp") != "admin"
    assert all(isinstance(json.loads(body), dict) for body in bodies)


def make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets)


def pip(words: list[str]) -> None:
    """An installation of the package, with extras that it has."""
    wanted = words[-1]
    assert wanted.startswith(NAME)
    extras = set(re.findall(r"\w+", wanted[len(NAME) :]))
    assert extras <= set(metadata(NAME).get_all("Provides-Extra") or ())


def ollama(words: list[str]) -> None:
    assert words[0] in {"run", "pull", "serve", "list"}


def echo(words: list[str]) -> None:
    [line] = words
    client_request_adapter.validate_python(json.loads(line))


def kubectl(words: list[str]) -> None:
    named = [words[at + 1] for at, word in enumerate(words) if word in {"--kustomize", "-f"}]
    assert all((ROOT / path).exists() for path in named)


KNOWN: dict[str, Check] = {
    NAME: ours, "claude": host, "code": code, "codex": host, "curl": curl, "docker": docker,
    "echo": echo, "gemini": host, "kubectl": kubectl, "make": make, "ollama": ollama, "pip": pip,
    "uvx": uvx,
}  # fmt: skip

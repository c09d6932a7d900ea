"""What must be right across settings, told at the start and not at the first call."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..address import parse_address, parse_endpoint
from .forms import OllamaHost

if TYPE_CHECKING:
    from .table import Settings


def check(settings: "Settings") -> None:
    """Check a whole table.

    Raises:
        ValueError: something does not fit; the message names the variable and what to do.
    """
    # What is wrong is said at start, and not at the first call.
    _check_hosts(settings.hosts)
    _ = settings.address
    parse_address(settings.cloud_url, "OLLAMA_CLOUD_BASE_URL")
    if settings.proxy and not re.match(r"https?://[^/]", settings.proxy):
        raise ValueError("OLLAMA_MCP_PROXY must be an address such as http://proxy:3128")
    if settings.ca_file and not settings.ca_file.is_file():
        raise ValueError(f"OLLAMA_MCP_CA_FILE: there is no file {settings.ca_file}")
    if settings.openai_base_url:
        parse_endpoint(settings.openai_base_url)
    if settings.jwt_issuer and not (settings.jwt_jwks_uri and settings.public_url):
        raise ValueError(
            "OLLAMA_MCP_JWT_ISSUER needs OLLAMA_MCP_JWT_JWKS_URI and OLLAMA_MCP_PUBLIC_URL too"
        )
    url = settings.state_url.get_secret_value() if settings.state_url else "memory"
    key = settings.request_state_key
    if not re.match(r"(memory|disk|file:///.+|(redis|valkey)s?://.+)$", url):
        raise ValueError(
            "OLLAMA_MCP_STATE_URL must be memory, disk, file:///FOLDER, redis://… or valkey://…"
        )
    is_shared = re.match(r"(redis|valkey)", url) is not None
    if settings.tasks and settings.workers > 1 and not is_shared:
        raise ValueError(
            "OLLAMA_MCP_TASKS with several workers needs a Valkey or Redis in "
            "OLLAMA_MCP_STATE_URL: a task would be known to one of them only"
        )
    if settings.tasks and is_shared and not key:
        raise ValueError(
            "OLLAMA_MCP_TASKS with a Valkey or Redis needs OLLAMA_MCP_REQUEST_STATE_KEY, which "
            "seals who called; make one with `openssl rand -hex 32`"
        )
    for root in settings.roots:
        if not root.is_dir():
            raise ValueError(f"OLLAMA_MCP_ROOTS: there is no folder {root}")
    if settings.auth_token and len(settings.auth_token.get_secret_value()) < 16:
        raise ValueError(
            "OLLAMA_MCP_AUTH_TOKEN: a token of fewer than 16 characters can be guessed; "
            "make one with `openssl rand -hex 32`"
        )
    if key and len(key.get_secret_value().encode()) < 32:  # what the SDK asks for
        raise ValueError(
            "OLLAMA_MCP_REQUEST_STATE_KEY: 32 characters at least; "
            "make one with `openssl rand -hex 32`"
        )


def _check_hosts(hosts: Mapping[str, OllamaHost]) -> None:
    addresses: dict[str, str] = {}
    for name, host in hosts.items():
        if not re.fullmatch(r"[\w.-]{1,40}", name):
            raise ValueError(f"OLLAMA_MCP_HOSTS: {name[:40]!r} is no name: letters, digits, ._-")
        url = parse_address(host.url, f"OLLAMA_MCP_HOSTS, {name}").url
        if url in addresses:
            raise ValueError(f"OLLAMA_MCP_HOSTS: {addresses[url]} and {name} are the same host")
        addresses[url] = name

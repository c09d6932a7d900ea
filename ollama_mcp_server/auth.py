"""The rule about public addresses; who is let in is for `gateway.access` to say."""

import ipaddress

from .settings import Settings


def refusal_to_bind(settings: Settings, has_keys: bool = False) -> str | None:
    """Return why the server must not bind to its address, or None if it may."""
    asks = settings.auth_token or has_keys or settings.jwt_issuer
    if asks or settings.insecure or is_loopback(settings.host):
        return None
    return (
        f"refusing to serve on {settings.host} without a token: anyone who reaches this "
        "machine could use it. Set OLLAMA_MCP_AUTH_TOKEN (make one with `openssl rand -hex "
        "32`), make keys with `ollama-mcp-server keys add NAME`, bind to 127.0.0.1, or pass "
        "--insecure if something before it checks callers."
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"

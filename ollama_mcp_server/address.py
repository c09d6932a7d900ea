"""Where the daemon is: `OLLAMA_HOST`, read as Ollama reads it."""

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A daemon's base URL, without credentials, and the credentials apart from it."""

    url: str
    is_loopback: bool
    credentials: tuple[str, str] | None = None


def parse_address(text: str, variable: str = "OLLAMA_HOST") -> Address:
    """Return the address that `text` names, in any spelling that Ollama takes.

    No scheme means http and port 11434; a scheme without a port means that scheme's own port
    (envconfig.Host in Ollama). 0.0.0.0 and [::], where a daemon listens everywhere, are reached
    through loopback. A path is kept, but for a trailing `/v1`: that is the OpenAI dialect's.
    `variable` is the setting's name, for the error.

    Raises:
        ValueError: `text` is no address; the message says what is wrong, without credentials.
    """
    scheme, found, rest = text.strip().strip("\"'").rpartition("://")
    scheme = scheme.lower() if found else "http"
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"{variable}: {scheme}:// is not supported, only http:// and https://")
    if rest.count(":") > 1 and "[" not in rest and "@" not in rest:
        rest = f"[{rest}]"  # a bare IPv6 address
    parts = urlsplit(f"{scheme}://{rest}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"{variable}: the port must be a number from 1 to 65535") from None
    host = parts.hostname or "127.0.0.1"
    if any(c.isspace() for c in host) or parts.query or parts.fragment:
        raise ValueError(f"{variable}: expected an address such as 127.0.0.1:11434")
    host, is_loopback = _reachable(host)
    default = DEFAULT_PORTS[scheme] if found else 11434
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Address(f"{scheme}://{host}:{port or default}{path}", is_loopback, credentials)


def parse_endpoint(text: str, variable: str = "OLLAMA_MCP_OPENAI_BASE_URL") -> Address:
    """Return the address of an OpenAI-compatible endpoint, its path up to the version.

    No scheme means http for this machine's loopback, else https. The path gets its `/v1` where it
    has no version yet; what may follow the version (`/chat/completions`) is left out.

    Raises:
        ValueError: `text` is no address; the message says what is wrong, without credentials.
    """
    text = text.strip().strip("\"'")
    if "://" not in text:
        scheme = "http" if parse_address(text, variable).is_loopback else "https"
        text = f"{scheme}://{text}"
    text = re.sub(r"/(chat/completions|models)/*$", "", text)
    address = parse_address(text, variable)
    has_version = re.search(r"/v\d\w*(/|$)", urlsplit(address.url).path)
    return replace(address, url=address.url if has_version else f"{address.url}/v1")


def _reachable(host: str) -> tuple[str, bool]:
    """Return a host as a client writes it in a URL, and whether it is this machine's loopback."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host, host == "localhost" or host.endswith(".localhost")
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return (f"[{ip}]" if ip.version == 6 else str(ip)), ip.is_loopback

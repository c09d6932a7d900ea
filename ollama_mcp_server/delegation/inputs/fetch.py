"""A file from a public http(s) URL, and from nowhere else.

A caller may be made to name any URL, so none may lead to this machine or its network: each name
is resolved once, every address that it has must be public, and the connection goes to the very
address that was checked, so that a name server cannot change its mind in between.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import anyio
import httpx

from ...address import DEFAULT_PORTS
from ...errors import InvalidArgument, NotFound, PermissionDenied, TimedOut, TooLarge, ToolFailed

IP = IPv4Address | IPv6Address
#: Returns the addresses of a host and port; none where it has none.
Resolve = Callable[[str, int], Awaitable[list[IP]]]

#: Seconds that a fetch may take, redirects included.
MAX_SECONDS = 20.0
MAX_REDIRECTS = 3
#: Addresses of a host that are tried when it does not answer at the first.
_TRIES = 3

#: Of IPv6 only this is handed out to the public; below it is what is not, though Python's
#: `is_global` (which differs by version) may say so: protocols, tunnels, documentation.
_UNICAST = ip_network("2000::/3")
_SPECIAL = tuple(
    map(
        ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
#: The last 32 bits of these are an IPv4 address, which is where a packet ends up (NAT64).
_NAT64 = ip_network("64:ff9b::/96")


def is_public(address: IP) -> bool:
    """Return whether an address is one of the public internet's, to a single machine."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _SPECIAL)
    )


async def resolve(host: str, port: int) -> list[IP]:
    """Return the addresses that the system has for a host."""
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


async def fetch(
    url: str,
    limit: int,
    *,
    resolve: Resolve = resolve,
    permits: Callable[[IP], bool] = is_public,
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """Return what a public URL gives, whatever it says that it is.

    Args:
        url: http or https, without user and password.
        limit: most bytes.
        resolve: finds the addresses of a host.
        permits: which of them may be connected to; all of a host's must.
        tls: what certificates are checked with; default the public authorities.

    Raises:
        InvalidArgument: it is no such URL, or redirects too often.
        NotFound: the server has no such file.
        PermissionDenied: it leads to an address that is not public.
        TimedOut: it took more than MAX_SECONDS.
        TooLarge: it is larger than `limit`.
        ToolFailed: the server could not be reached, or refused.
    """
    try:
        with anyio.fail_after(MAX_SECONDS):
            if tls is None:  # 20 ms of work, which the loop need not wait for
                tls = await anyio.to_thread.run_sync(httpx.create_ssl_context)
            # No proxy and no netrc of the environment; no connection is used for two hosts.
            async with httpx.AsyncClient(
                trust_env=False,
                verify=tls,
                timeout=None,  # noqa: S113 - all of it has one limit
                limits=httpx.Limits(max_keepalive_connections=0),
            ) as client:
                place = _url(url)
                for _ in range(MAX_REDIRECTS + 1):
                    addresses = await _checked(place, resolve, permits)
                    found = await _get(client, place, addresses, limit)
                    if isinstance(found, bytes):
                        return found
                    place = found
    except TimeoutError as late:
        raise TimedOut(f"the URL gave no whole file in {MAX_SECONDS:g} s") from late
    raise InvalidArgument(f"the URL redirects more than {MAX_REDIRECTS} times", "Give the last one")


def _url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        url = base.join(text) if base else httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidArgument("the URL is not valid", "As in https://host/picture.jpg") from error
    if (
        url.scheme not in DEFAULT_PORTS
        or not url.host
        or url.userinfo
        or (url.port or 0) not in range(65536)
    ):
        raise InvalidArgument(
            "the URL must be http:// or https://, with a host, and without user and password",
            "As in https://host/picture.jpg",
        )
    return url


async def _checked(url: httpx.URL, resolve: Resolve, permits: Callable[[IP], bool]) -> list[IP]:
    port = url.port or DEFAULT_PORTS[url.scheme]
    addresses = await resolve(url.raw_host.decode(), port)
    # A name that is unknown and one that is private are told alike: who asks learns no names.
    if not addresses or not all(permits(address) for address in addresses):
        raise PermissionDenied(
            f"{url.host} has no address on the public internet",
            "Only public URLs are fetched; give the file itself, or its path",
        )
    return addresses


async def _get(
    client: httpx.AsyncClient, url: httpx.URL, addresses: list[IP], limit: int
) -> bytes | httpx.URL:
    """Return the content of a URL, or where it redirects to, by the first address to answer."""
    headers = {
        "host": url.netloc.decode(),
        "user-agent": "ollama-mcp-server",
        "accept": "image/*",
        "accept-encoding": "identity",
    }
    failure: httpx.HTTPError | None = None
    for address in addresses[:_TRIES]:
        try:
            async with client.stream(
                "GET",
                url.copy_with(host=str(address), fragment=None),
                headers=headers,
                extensions={"sni_hostname": url.raw_host.decode()},
            ) as response:
                return await _answer(response, url, limit)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            failure = error
        except httpx.HTTPError as error:
            raise ToolFailed(f"the connection to {url.host} broke", "Call again") from error
    raise ToolFailed(
        f"{url.host} could not be reached, or has no valid certificate", "Check the URL"
    ) from failure


async def _answer(response: httpx.Response, url: httpx.URL, limit: int) -> bytes | httpx.URL:
    if response.has_redirect_location:
        return _url(response.headers["location"], url)
    if response.status_code in (404, 410):
        raise NotFound(f"{url.host} has no such file", "Check the URL")
    if response.status_code != 200:
        raise ToolFailed(f"{url.host} answered {response.status_code}", "Check the URL")
    content = bytearray()
    # raw: what comes is what counts, and nothing is unpacked
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > limit:
            raise TooLarge(f"the file at {url.host} is larger than {limit / 2**20:g} MiB")
    return bytes(content)

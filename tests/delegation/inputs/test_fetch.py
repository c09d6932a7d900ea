"""Fetching from public URLs, tried on real servers of this machine, which are not public."""

from __future__ import annotations

import datetime
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ollama_mcp_server.delegation.inputs import fetch as module
from ollama_mcp_server.delegation.inputs.fetch import IP, fetch, is_public, resolve
from ollama_mcp_server.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TimedOut,
    TooLarge,
    ToolFailed,
)

LIMIT = 1000


class Site(ThreadingHTTPServer):
    """A web server on loopback that answers as it is told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.names: list[str | None] = []  # that TLS clients asked for
        super().__init__(("127.0.0.1", 0), Page)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Those who went away are no error here."""


class Page(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        kind, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        with suppress(OSError):  # the client may have gone
            getattr(self, f"do_{kind}")(rest)

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_ok(self, _: str) -> None:
        self.answer(200, b"a picture", **{"Set-Cookie": "a=b", "Content-Type": "text/html"})

    def do_status(self, status: str) -> None:
        self.answer(int(status))

    def do_to(self, location: str) -> None:
        self.answer(302, Location=location)

    def do_round(self, left: str) -> None:
        self.answer(307, Location=f"/round/{int(left) - 1}" if left != "1" else "/ok")

    def do_big(self, size: str) -> None:
        self.answer(200, b"x" * int(size))

    def do_endless(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"64\r\n" + b"x" * 100 + b"\r\n")

    def do_slow(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _byte in range(600):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def do_cut(self, _: str) -> None:
        self.answer(200, b"a pic", **{"Content-Length": "100"})
        self.close_connection = True

    def do_garbage(self, _: str) -> None:
        self.wfile.write(b"this is no HTTP\r\n\r\n")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class Names:
    """A name server: every name has the same addresses; it keeps what it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = [ip_address(address) for address in addresses or ("127.0.0.1",)]
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[IP]:
        self.asked.append((host, port))
        return self.addresses


def is_loopback(address: IP) -> bool:
    return address.is_loopback


async def get(url: str, names: Names | None = None, **more: Any) -> bytes:
    """Fetch where only loopback may be connected to, and every name is loopback's."""
    return await fetch(url, LIMIT, resolve=names or Names(), permits=is_loopback, **more)


async def test_a_url_gives_its_content(site: Site) -> None:
    names = Names()
    url = f"http://Pictures.test:{site.port}/ok/a%20b.jpg?size=1&c=%C3%A9#top"
    assert await get(url, names) == b"a picture"
    [(path, headers)] = site.asked
    assert path == "/ok/a%20b.jpg?size=1&c=%C3%A9"
    assert headers["host"] == f"pictures.test:{site.port}"
    assert headers["accept-encoding"] == "identity"
    assert not {"cookie", "authorization", "referer"} & headers.keys()
    assert names.asked == [("pictures.test", site.port)]


async def test_a_name_is_resolved_once_and_the_address_checked_is_the_one_used(
    site: Site,
) -> None:
    # No system resolver knows this name: the connection went to the address that was checked.
    names = Names()
    assert await get(f"http://nobody-has.invalid:{site.port}/ok", names) == b"a picture"
    assert len(names.asked) == 1


async def test_names_of_other_alphabets_are_asked_for_in_ascii(site: Site) -> None:
    names = Names()
    assert await get(f"http://bücher.test:{site.port}/ok", names) == b"a picture"
    assert names.asked == [("xn--bcher-kva.test", site.port)]
    assert site.asked[0][1]["host"] == f"xn--bcher-kva.test:{site.port}"


@pytest.mark.parametrize("host", ["http://pictures.test/a", "https://pictures.test/a"])
async def test_the_port_is_the_urls_own(host: str) -> None:
    names = Names("8.8.8.8")
    with pytest.raises(PermissionDenied):
        await get(host, names)
    assert names.asked == [("pictures.test", 443 if host.startswith("https") else 80)]


async def test_the_next_address_is_tried_where_one_does_not_answer(site: Site) -> None:
    assert await get(f"http://a.test:{site.port}/ok", Names("127.0.0.9", "127.0.0.1")) == (
        b"a picture"
    )


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1%25lo]",
        "①②⑦.⓪.⓪.①",
    ],
)
async def test_loopback_is_refused_however_it_is_written(site: Site, host: str) -> None:
    with pytest.raises((PermissionDenied, InvalidArgument)):
        await fetch(f"http://{host}:{site.port}/ok", LIMIT)
    assert site.asked == []


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "nobody-has.invalid"])
async def test_what_is_private_and_what_is_unknown_are_told_alike(host: str) -> None:
    with pytest.raises(PermissionDenied, match=f"^Error: {host} has no address on the public"):
        await fetch(f"http://{host}/", LIMIT)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("1.1.1.1", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("172.31.255.255", False),
        ("172.32.0.1", True),
        ("192.0.0.8", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("2606:4700:4700::1111", True),
        ("2a00:1450:4001:81b::200e", True),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::8.8.8.8", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("100::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("fc00::1", False),
        ("fd12:3456::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("ff0e::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


async def test_the_systems_resolver() -> None:
    assert ip_address("127.0.0.1") in await resolve("127.0.0.1", 80)
    assert await resolve("fe80::1%lo", 80) == [ip_address("fe80::1")]
    assert await resolve("nobody-has.invalid", 80) == []
    assert await resolve("a" * 300, 80) == []
    assert await resolve("a..b", 80) == []


async def test_one_private_address_among_several_is_enough(site: Site) -> None:
    with pytest.raises(PermissionDenied):
        await get(f"http://a.test:{site.port}/ok", Names("127.0.0.1", "10.0.0.1"))
    assert site.asked == []


async def test_redirects_are_followed_and_each_is_checked(site: Site) -> None:
    names = Names()
    url = f"http://one.test:{site.port}/to/http://two.test:{site.port}/ok"
    assert await get(url, names) == b"a picture"
    assert names.asked == [("one.test", site.port), ("two.test", site.port)]
    (_, first), (path, second) = site.asked
    assert (first["host"], second["host"]) == (f"one.test:{site.port}", f"two.test:{site.port}")
    assert path == "/ok"
    assert "cookie" not in second


async def test_three_redirects_and_no_more(site: Site) -> None:
    assert await get(f"http://a.test:{site.port}/round/3") == b"a picture"
    with pytest.raises(InvalidArgument, match="redirects more than 3 times"):
        await get(f"http://a.test:{site.port}/round/4")
    assert "/ok" not in [path for path, _ in site.asked[4:]]


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("file:///etc/passwd", InvalidArgument),
        ("ftp://a.test/x", InvalidArgument),
        ("http://user:secret@a.test/x", InvalidArgument),
        ("http://a.test:99999999/x", InvalidArgument),
        ("http://[::1", ToolFailed),
    ],
)
async def test_redirects_to_what_is_not_fetched(
    site: Site, location: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await get(f"http://a.test:{site.port}/to/{location}")
    assert "secret" not in str(caught.value)


async def test_a_redirect_to_a_private_address_is_refused(site: Site) -> None:
    class Two(Names):
        async def __call__(self, host: str, port: int) -> list[IP]:
            return [ip_address("127.0.0.1" if host == "one.test" else "10.0.0.1")]

    with pytest.raises(PermissionDenied, match=r"two\.test has no address"):
        await get(f"http://one.test:{site.port}/to/http://two.test:{site.port}/ok", Two())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.jpg",
        "http://",
        "http:///a.jpg",
        "https:a.jpg",
        "file:///etc/passwd",
        "ftp://a.test/a.jpg",
        "http://user:secret@a.test/",
        "http://user@a.test/",
        "http://a.test:port/",
        "http://a.test:70000/",
        "http://a.test/\x00secret",
        "http://" + "a" * 70000,
    ],
)
async def test_what_is_no_public_url(url: str) -> None:
    names = Names()
    with pytest.raises(InvalidArgument) as caught:
        await get(url, names)
    assert names.asked == []
    assert "secret" not in str(caught.value)


async def test_content_is_bounded_while_it_comes(site: Site) -> None:
    assert len(await get(f"http://a.test:{site.port}/big/{LIMIT}")) == LIMIT
    for path in (f"big/{LIMIT + 1}", "endless"):
        with pytest.raises(TooLarge, match=r"a\.test is larger than"):
            await get(f"http://a.test:{site.port}/{path}")


async def test_all_of_it_has_one_time_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0.3)
    with pytest.raises(TimedOut, match=r"no whole file in 0\.3 s"):
        await get(f"http://a.test:{site.port}/slow")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("status/404", NotFound),
        ("status/410", NotFound),
        ("status/403", ToolFailed),
        ("status/500", ToolFailed),
        ("status/204", ToolFailed),
        ("status/302", ToolFailed),
        ("cut", ToolFailed),
        ("garbage", ToolFailed),
    ],
)
async def test_failures_name_the_host_and_not_the_rest_of_the_url(
    site: Site, path: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"a\.test") as caught:
        await get(f"http://a.test:{site.port}/{path}?token=secret")
    assert "secret" not in str(caught.value)


async def test_nobody_listens(site: Site) -> None:
    with pytest.raises(ToolFailed, match=r"a\.test could not be reached"):
        await get(f"http://a.test:{site.port}/ok", Names("127.0.0.9"))


async def test_no_proxy_of_the_environment_is_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.9:1")
    assert await get(f"http://a.test:{site.port}/ok") == b"a picture"


@pytest.fixture
def tls_site(site: Site, tmp_path: Path) -> tuple[Site, ssl.SSLContext]:
    """The site with a certificate for pictures.test, and what trusts that."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pictures.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.test")]), False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "site.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    server.sni_callback = lambda _socket, asked, _context: site.names.append(asked)
    site.socket = server.wrap_socket(site.socket, server_side=True)
    return site, ssl.create_default_context(cadata=pem.decode())


async def test_tls_is_with_the_name_of_the_url(tls_site: tuple[Site, ssl.SSLContext]) -> None:
    site, trusted = tls_site
    url = f"https://pictures.test:{site.port}/ok"
    assert await get(url, tls=trusted) == b"a picture"
    assert site.names == ["pictures.test"]
    assert site.asked[0][1]["host"] == f"pictures.test:{site.port}"


async def test_a_certificate_for_another_name_or_of_nobody_is_refused(
    tls_site: tuple[Site, ssl.SSLContext],
) -> None:
    site, trusted = tls_site
    with pytest.raises(ToolFailed, match=r"other\.test could not be reached, or has no valid"):
        await get(f"https://other.test:{site.port}/ok", tls=trusted)
    with pytest.raises(ToolFailed, match=r"pictures\.test could not be reached, or has no valid"):
        await get(f"https://pictures.test:{site.port}/ok")
    assert site.asked == []


async def test_a_redirect_to_another_name_at_the_same_address_is_a_new_connection(
    tls_site: tuple[Site, ssl.SSLContext],
) -> None:
    site, trusted = tls_site
    with pytest.raises(ToolFailed, match=r"other\.test"):
        await get(
            f"https://pictures.test:{site.port}/to/https://other.test:{site.port}/ok", tls=trusted
        )
    assert [path for path, _ in site.asked] == [f"/to/https://other.test:{site.port}/ok"]

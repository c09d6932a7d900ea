"""OLLAMA_HOST, in every spelling that Ollama takes (envconfig.Host)."""

import pytest

from ollama_mcp_server.address import parse_address, parse_endpoint


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("[::]:1234", "http://[::1]:1234"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("http://h", "http://h:80"),
        ("https://h", "https://h:443"),
        ("HTTP://h:1", "http://h:1"),
        ("http://h:1/", "http://h:1"),
        ("h/v1", "http://h:11434"),
        ("http://h:1/v1/", "http://h:1"),
        ("https://h/ollama/", "https://h:443/ollama"),
        (' "127.0.0.1" ', "http://127.0.0.1:11434"),
        ("https://user:pa%20ss@h", "https://h:443"),
    ],
)
def test_every_spelling(text: str, url: str) -> None:
    assert parse_address(text).url == url


def test_credentials_stay_out_of_the_url() -> None:
    assert parse_address("https://user:pa%20ss@h").credentials == ("user", "pa ss")


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]:1", "::", "127.8.8.8"]
)
def test_loopback(text: str) -> None:
    assert parse_address(text).is_loopback


@pytest.mark.parametrize("text", ["192.168.1.5", "example.com", "https://ollama.com"])
def test_not_loopback(text: str) -> None:
    assert not parse_address(text).is_loopback


@pytest.mark.parametrize("text", ["unix:///x", "ftp://h", "h:abc", "h:99999", "a b", "h?x=1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="OLLAMA_HOST"):
        parse_address(text)


def test_a_refusal_does_not_repeat_credentials() -> None:
    with pytest.raises(ValueError) as refused:
        parse_address("http://me:secret@h:abc")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("127.0.0.1:8080/", "http://127.0.0.1:8080/v1"),
        ("localhost:1234/v1/", "http://localhost:1234/v1"),
        ("[::1]:8000", "http://[::1]:8000/v1"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000/v1"),
        ("localhost", "http://localhost:80/v1"),
        ("gpu.example", "https://gpu.example:443/v1"),
        ("gpu.example:8000/v1", "https://gpu.example:8000/v1"),
        ("http://gpu.example", "http://gpu.example:80/v1"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com:443/v1"),
        ("https://api.openai.com/v1/models/", "https://api.openai.com:443/v1"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com:443/openai/v1"),
        ("https://openrouter.ai/api", "https://openrouter.ai:443/api/v1"),
        ("https://g.example/v1beta/openai/", "https://g.example:443/v1beta/openai"),
        ("https://z.example/api/paas/v4", "https://z.example:443/api/paas/v4"),
        (' "https://user:pa%20ss@h/v1" ', "https://h:443/v1"),
    ],
)
def test_every_spelling_of_an_endpoint(text: str, url: str) -> None:
    assert parse_endpoint(text).url == url


def test_what_is_no_endpoint_is_refused() -> None:
    for text in ("ftp://h", "h:abc", "a b", "https://h/v1?key=secret"):
        with pytest.raises(ValueError, match="OLLAMA_MCP_OPENAI_BASE_URL") as refused:
            parse_endpoint(text)
        assert "secret" not in str(refused.value)

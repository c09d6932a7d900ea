"""The page's shell: what is served, to whom, and what it may do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import ollama_mcp_server.gateway.page as page
from tests.conftest import MakeApp
from tests.gateway.serving import served

FOLDER = Path(page.__file__).parent
TOKEN = "a-token-that-nobody-can-guess"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
async def gateway(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    async with served(make_app(auth_token=TOKEN)) as client:
        yield client


async def test_a_browser_gets_the_page_without_a_key(gateway: httpx.AsyncClient) -> None:
    response = await gateway.get("/", headers=BROWSER)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["vary"] == "Accept"
    assert "<main>" in response.text


async def test_ollamas_clients_get_what_they_look_for(gateway: httpx.AsyncClient) -> None:
    for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        response = await gateway.get("/", headers=headers)
        assert response.text == "Ollama is running"
    assert (await gateway.head("/")).status_code == 200


@pytest.mark.parametrize("name", page.FILES)
async def test_its_files_are_served_strictly(gateway: httpx.AsyncClient, name: str) -> None:
    response = await gateway.get(f"/page/{name}")
    assert response.status_code == 200
    assert response.content == (FOLDER / name).read_bytes()
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    again = await gateway.get(f"/page/{name}", headers={"if-none-match": headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == headers["content-security-policy"]


@pytest.mark.parametrize("name", ["__init__.py", "%2e%2e/app.py", "missing.js"])
async def test_nothing_else_is(gateway: httpx.AsyncClient, name: str) -> None:
    response = await gateway.get(f"/page/{name}")
    assert response.status_code in (401, 404)
    assert "import" not in response.text


def test_every_file_of_the_folder_is_named() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "")}
    assert files == set(page.FILES)


def test_nothing_comes_from_elsewhere() -> None:
    for name in page.FILES:
        text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]", text.replace("// ", "")), name


def test_no_text_becomes_markup() -> None:
    wrong = re.compile(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|\.on\w+ ?=|srcdoc"
    )
    for path in FOLDER.glob("*.js"):
        assert not wrong.search(path.read_text()), path
    html = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)


def test_every_field_has_a_label() -> None:
    html = (FOLDER / "index.html").read_text()
    fields = re.findall(r"<(?:input|select|textarea)[^>]*id=\"([^\"]+)\"", html)
    assert fields
    for field in fields:
        assert f'<label for="{field}"' in html

"""The page in a real browser: what it shows, the playground, keys, keyboard, narrow and dark."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.testbed import models
from scripts.testbed.daemon import Daemon
from tests.fake_ollama import FakeOllama
from tests.live.chromium import FAINT, chromium, opened, pictured
from tests.live.sessions import over_http
from tests.live.workplaces import configured, own

pytestmark = pytest.mark.live

#: Milliseconds that a small model on a busy machine may take.
PATIENCE = 90_000
TOKEN = secrets.token_hex(16)
BROKEN = {
    "name": "broken",
    "description": "A server that cannot start",
    "command": "/nowhere/server",
    "auto_enable": "always",
}
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def gateway(ollama: Daemon) -> Iterator[str]:
    """A gateway without keys, with one server that works and one that does not."""
    city = {**own("city.py", secrets.token_hex(8)), "allow": ["get_weather"]}
    city["description"] = "Weather of a city"
    told = {"OLLAMA_MCP_GATEWAY": "1", "OLLAMA_MCP_SERVERS": configured(city, BROKEN)}
    with over_http(ollama.url, **told) as url:
        yield url.removesuffix("mcp")


@pytest.fixture
def page(browser: Browser, gateway: str) -> Iterator[Page]:
    with opened(browser, gateway, viewport={"width": 1400, "height": 900}) as page:
        ready(page)
        yield page


def ready(page: Page) -> None:
    expect(page.locator("#daemon-text")).to_contain_text("Ollama 0.", timeout=PATIENCE)
    expect(page.locator("#model option").first).to_be_attached()
    expect(page.locator(".server .bad").first).to_be_visible(timeout=PATIENCE)


def ask(page: Page, text: str, model: str, *servers: str) -> None:
    page.get_by_label("Model", exact=True).select_option(name_of(page, model))
    for box in page.locator("#tools input").all():
        box.set_checked(box.get_attribute("value") in servers)
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def name_of(page: Page, model: str) -> str:
    """Return a model's name as the page offers it."""
    names = page.locator("#model option").all_inner_texts()
    return next(name for name in names if name.startswith(model))


def answered(page: Page) -> None:
    expect(page.locator("#progress")).to_have_text("Answered.", timeout=PATIENCE)


def test_a_model_answers_and_is_shown_in_memory(page: Page) -> None:
    ask(page, "What is the capital of France?", models.CHAT)
    answered(page)
    expect(page.locator("article.assistant .text")).to_contain_text("Paris")
    expect(page.locator("article.assistant .counts")).to_contain_text("tokens/s")
    table = page.get_by_role("table", name="Models in memory")
    expect(table.get_by_role("row").nth(1)).to_contain_text(models.CHAT)
    expect(table.get_by_role("row").nth(1)).to_contain_text("2,048")
    assert page.locator("#plot .curve").get_attribute("points")
    expect(page.locator("#plot")).to_have_attribute("aria-label", re.compile("at most [1-9]"))


def test_a_conversation_goes_on_and_can_be_begun_anew(page: Page) -> None:
    for _ in range(2):
        ask(page, "Say a word.", models.CHAT)
        answered(page)
    expect(page.locator("#transcript article")).to_have_count(4)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#transcript article")).to_have_count(0)
    expect(page.get_by_label("Message")).to_be_focused()


def test_tools_are_shown_as_they_are_called(page: Page) -> None:
    ask(page, "What is the weather in Oslo?", models.TOOLS, "city")
    answered(page)
    call = page.locator("details.call")
    expect(call.locator("summary")).to_contain_text("city:get_weather")
    expect(call.locator("summary")).to_contain_text("answered")
    call.locator("summary").click()
    expect(call.get_by_label("Arguments")).to_contain_text('"city": "Oslo"')
    expect(call.get_by_label("Result")).not_to_be_empty()


def test_servers_are_shown_with_their_state(page: Page) -> None:
    city = page.locator(".server").filter(has_text="city")
    broken = page.locator(".server").filter(has_text="broken")
    expect(city).to_contain_text(re.compile(r"up for \d"), timeout=PATIENCE)
    city.locator("summary").click()
    expect(city.get_by_role("listitem")).to_contain_text(["get_weather"])
    expect(broken).to_contain_text(re.compile(r"down for \d"))
    expect(broken).to_contain_text("/nowhere/server")


# --- What no real model does when it is told to ---------------------------------------------------


@pytest.fixture(scope="module")
def scripted() -> Iterator[tuple[FakeOllama, str]]:
    """A gateway for a daemon that says what a test makes it say."""
    hostile = {**BROKEN, "description": HOSTILE}
    told = {"OLLAMA_MCP_GATEWAY": "1", "OLLAMA_MCP_SERVERS": configured(hostile)}
    with FakeOllama() as daemon, over_http(daemon.url, **told) as url:
        yield daemon, url.removesuffix("mcp")


def said(**message: object) -> dict[str, object]:
    return {"model": "m", "message": {"role": "assistant", "content": "", **message}, "done": False}


def test_an_answer_can_be_stopped(browser: Browser, scripted: tuple[FakeOllama, str]) -> None:
    daemon, url = scripted
    daemon.reply("/api/chat", said(content="One word, "), said(content="and another"), 60.0)
    with opened(browser, url) as page:
        ready(page)
        ask(page, "Talk for ever.", "")
        expect(page.locator("article.assistant .text")).to_have_text("One word, and another")
        row = page.get_by_role("table", name="Requests being answered").get_by_role("row").nth(1)
        expect(row).to_contain_text("writing")
        expect(page.get_by_role("button", name="Send")).to_be_disabled()
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#progress")).to_have_text("Stopped.")
        expect(page.locator("#requests")).to_have_text("None is being answered.")
        expect(page.get_by_role("button", name="Send")).to_be_enabled()
    daemon.wait_for(lambda: any(request.closed_early for request in daemon.requests))


def test_a_hostile_models_markup_stays_text(
    browser: Browser, scripted: tuple[FakeOllama, str]
) -> None:
    daemon, url = scripted
    call = {"function": {"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}}
    daemon.reply(
        "/api/chat",
        said(thinking=HOSTILE),
        said(content=HOSTILE),
        said(tool_calls=[call]),
        {"model": HOSTILE, "message": {}, "done": True, "warnings": [HOSTILE], "eval_count": 1},
    )
    daemon.reply("/api/tags", {"models": [{"name": HOSTILE, "size": 1}]}, times=2)
    loaded = {"name": HOSTILE, "model": HOSTILE, "size": 1, "size_vram": 1, "digest": "d",
              "context_length": 1, "expires_at": HOSTILE}  # fmt: skip
    daemon.reply("/api/ps", {"models": [loaded]}, times=20)
    with opened(browser, url) as page:
        ready(page)
        ask(page, HOSTILE, "")
        answered(page)
        expect(page.locator("article.user .text")).to_have_text(HOSTILE)
        expect(page.locator("article.assistant > .text").first).to_have_text(HOSTILE)
        expect(page.locator("details.call summary strong")).to_have_text(HOSTILE)
        expect(page.locator("article .warn")).to_have_text(HOSTILE)
        expect(page.locator("#models")).to_contain_text(HOSTILE)
        expect(page.locator("#servers")).to_contain_text(HOSTILE)
        assert page.title() == "ollama-mcp-server"
        assert page.locator("#columns img, #columns script").count() == 0


def test_what_goes_wrong_is_said(browser: Browser, scripted: tuple[FakeOllama, str]) -> None:
    daemon, url = scripted
    with opened(browser, url) as page:
        ready(page)
        daemon.reply("/api/chat", said(content="Half"), error="the runner has died")
        ask(page, "Talk.", "")
        expect(page.locator("article.assistant .bad")).to_contain_text("the runner has died")
        expect(page.locator("article.assistant .text")).to_have_text("Half")
        daemon.reply("/api/chat", status=500, error="out of memory")
        ask(page, "Talk.", "")
        expect(page.locator("article.assistant .bad").last).to_contain_text("out of memory")
        expect(page.locator("#progress")).to_have_text("It failed.")


# --- Keys -----------------------------------------------------------------------------------------


def test_a_key_is_asked_for_and_kept_in_the_tab(browser: Browser, ollama: Daemon) -> None:
    told = {"OLLAMA_MCP_GATEWAY": "1", "OLLAMA_MCP_AUTH_TOKEN": TOKEN}
    with over_http(ollama.url, **told) as url:
        home = url.removesuffix("mcp")
        with opened(browser, home) as page:
            field = page.get_by_label("This server asks for a key")
            expect(field).to_be_focused()
            expect(page.locator("#columns")).to_be_hidden()
            pictured(page, "key")
            field.fill("a-wrong-key-of-somebody")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("does not know this key")
            field.fill(TOKEN)
            page.keyboard.press("Enter")
            expect(page.locator("#daemon-text")).to_contain_text("Ollama 0.")
            expect(page.get_by_label("Message")).to_be_focused()
            page.reload()
            expect(page.locator("#daemon-text")).to_contain_text("Ollama 0.")
            assert page.evaluate("localStorage.length") == 0
            assert page.context.cookies() == []
            assert TOKEN not in page.content()
            page.get_by_role("button", name="Forget the key").click()
            expect(field).to_be_visible()
        with opened(browser, home) as page:
            expect(page.get_by_label("This server asks for a key")).to_be_visible()


# --- For everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1400])
def test_it_fits_and_can_be_read(browser: Browser, gateway: str, width: int, scheme: str) -> None:
    shape = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with opened(browser, gateway, **shape) as page:
        ready(page)
        ask(page, "What is the weather in Oslo?", models.TOOLS, "city")
        answered(page)
        for summary in page.locator("summary").all():
            summary.click()
        pictured(page, f"{scheme}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []


def test_it_can_be_used_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the playground")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message")).to_be_focused()
    page.keyboard.type("What is the capital of France?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Say it in a word.")
    seen = []
    for _ in range(2):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen
    assert seen == ["Send", "New conversation"]  # there is nothing to stop yet
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    answered(page)
    expect(page.locator("article.user .text")).to_contain_text("in a word")


def test_readers_of_the_screen_are_told(page: Page) -> None:
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]
    for name in ("Requests", "Models in memory", "MCP servers", "Playground"):
        expect(page.get_by_role("region", name=name)).to_be_visible()
        expect(page.get_by_role("heading", name=name, level=2)).to_be_visible()
    expect(page.get_by_role("log", name="Conversation")).to_be_visible()
    expect(page.get_by_role("group", name="Tools of")).to_be_visible()
    for field in page.locator("input:visible, select:visible, textarea:visible").all():
        assert field.evaluate("(field) => field.labels.length") == 1


def test_a_table_stays_one_where_it_is_stacked(browser: Browser, gateway: str) -> None:
    with opened(browser, gateway, viewport={"width": 320, "height": 900}) as page:
        ready(page)
        ask(page, "Say a word.", models.CHAT)
        answered(page)
        table = page.get_by_role("table", name="Models in memory")
        expect(table.get_by_role("columnheader")).to_have_count(5)
        expect(table.get_by_role("row").nth(1).get_by_role("cell")).to_have_count(5)


def test_it_follows_again_once_the_server_answers(browser: Browser, gateway: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/gateway/events", lambda route: route.abort())
    page.goto(gateway)
    expect(page.locator("#daemon-text")).to_contain_text("trying again")
    page.unroute("**/gateway/events")
    ready(page)
    context.close()

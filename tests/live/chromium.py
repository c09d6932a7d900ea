"""A real browser for the tests of the page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.testbed import cache

#: Pictures of the page, for people to look at.
SCREENSHOTS = cache.folder() / "screenshots"
#: Where a text has less contrast with what is behind it than it must have, by WCAG 2.2, AA.
FAINT = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const part = (value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push([node.textContent.trim().slice(0, 40), contrast]);
  }
  return faint;
}"""


def program() -> str:
    """Return Chromium's path; without it the tests are skipped, which CI does not let pass."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no Chromium: sudo apt-get install chromium")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it without a window."""
    where = program()
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has no sandbox to be put in
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=alone)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page in a context of its own; what it complains of fails the test."""
    context = browser.new_context(**{"reduced_motion": "reduce", **options})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    foreign: list[str] = []
    page.on("request", lambda one: None if one.url.startswith(url) else foreign.append(one.url))
    try:
        page.goto(url)
        yield page
        # the browser itself tells of each refused request
        assert [line for line in wrong if not re.search("status of [45]", line)] == []
        assert foreign == []
    finally:
        context.close()


def pictured(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(SCREENSHOTS, f"{name}.png"), full_page=True)

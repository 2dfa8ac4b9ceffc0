"""Pages in Chromium: what tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class Visit:
    """An open page; what it said on the console, and what it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))

    def hear(self, message: ConsoleMessage) -> None:
        """Keep every line of the console, save a software WebGL's remarks on its own speed."""
        if "GL Driver Message" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, path: Path, drawn: str = ".chart .main-svg") -> Page:
        """The page once its figures are drawn; only its own file was asked for."""
        self.page.goto(path.as_uri())
        self.page.wait_for_selector(drawn)
        assert self.requests == [path.as_uri()]
        return self.page


@contextmanager
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}, absent here")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def visiting(browser: Browser) -> Iterator[Visit]:
    """A page that ends without a complaint and without a second request."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    visit = Visit(context.new_page())
    yield visit
    assert visit.complaints == []
    assert len(visit.requests) == 1
    context.close()

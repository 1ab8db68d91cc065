"""A person in the shop's page, in a real Chromium: the list before a click and after it, as pictures."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page, sync_playwright

from contracts.errors import BraidError
from contracts.settings import Settings

BEFORE, AFTER = "shop-before.png", "shop-after.png"
SIZE = {"width": 1280, "height": 960}
SECONDS = 20.0


class NoBrowserError(BraidError):
    """There is no Chromium, or the page did not do what it should."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The list's titles before and after a product was looked at, and how long the change took from the page's arrival on."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    waited_ms: int

    @property
    def changed(self) -> bool:
        return self.before != self.after


@contextmanager
def browser_page() -> Iterator[Page]:
    """An empty page.

    Raises:
        NoBrowserError: Chromium is not installed.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise NoBrowserError("there is no chromium: run `make setup`")
    with sync_playwright() as driver:
        # As root Chromium has no sandbox; what is opened is our own page on loopback.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
            page.set_default_timeout(SECONDS * 1000)
            yield page
        finally:
            browser.close()


def titles(page: Page) -> tuple[str, ...]:
    """What the list shows."""
    return tuple(page.locator("#list li > a").all_inner_texts())


def walk(settings: Settings) -> Walk:
    """Grant, look at the first product, come home again; the pictures lie beside the reports."""
    settings.reports.mkdir(parents=True, exist_ok=True)
    with browser_page() as page:
        page.goto(f"{settings.scorer_url}/shop")
        page.get_by_role("button", name="Make it personal").click()
        page.get_by_role("button", name="Personal: on").wait_for()
        before = titles(page)
        page.screenshot(path=settings.reports / BEFORE)
        page.locator("#list li > a").first.click()
        page.get_by_role("heading", level=1).wait_for()
        began = time.perf_counter()
        looked = page.locator("#panel dt", has_text="items_viewed")
        looked.wait_for()
        waited = time.perf_counter() - began
        page.get_by_role("link", name="Braid shop").click()
        looked.wait_for()
        page.screenshot(path=settings.reports / AFTER)
        return Walk(before, titles(page), round(waited * 1000))

"""A day of the shop: visits, choices about consent, e-mail and push. A function of the seed and the day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from random import Random

from contracts.adapters.wire import Record
from contracts.clock import to_micros
from infra.simulator.browsing import Browser
from infra.simulator.catalog import build_catalog
from infra.simulator.parameters import ShopParameters
from infra.simulator.shoppers import build_shoppers, change_moment
from infra.simulator.visit import SECOND, Visit

HOUR = 3600 * SECOND
OPEN_HOUR, CLOSE_HOUR = 7, 21
"""Visits begin between these; none lasts until midnight."""
MAIL_SHARE, PUSH_SHARE = 0.02, 0.01


def events_of(parameters: ShopParameters, on: date) -> Iterator[Record]:
    """The wire events of a day, visit by visit."""
    browser = Browser(
        build_catalog(parameters), build_shoppers(parameters), build_catalog(parameters).prices(on)
    )
    for n in range(parameters.sessions_per_day):
        visit = _visit(browser, on, n)
        browser.shop(visit)
        yield from visit.events
    for shopper in browser.shoppers.by_change_day.get(on, []):
        yield from _change_consent(browser, on, shopper)
    yield from _messages(browser, on, "email", MAIL_SHARE, 6 * HOUR)
    yield from _messages(browser, on, "push", PUSH_SHARE, 17 * HOUR)


def _visit(browser: Browser, on: date, n: int) -> Visit:
    """Who comes, when, and on what: the busier shoppers more often, members half of the time logged in."""
    seed = browser.shoppers.parameters.seed
    rng = Random(f"{seed}/{on}/visit/{n}")
    reach = browser.shoppers.reach
    shopper = min(bisect_right(reach, rng.random()), len(reach) - 1)
    begins = rng.triangular(OPEN_HOUR, CLOSE_HOUR, 13) * HOUR
    return Visit(
        browser.shoppers,
        shopper,
        f"s{on:%Y%m%d}-{n:05d}",
        _midnight(on) + int(begins),
        rng,
        device=int(rng.random() < 0.2),
        logged_in=not browser.shoppers.guest[shopper] and rng.random() < 0.5,
    )


def _change_consent(browser: Browser, on: date, shopper: int) -> list[Record]:
    """A page, the choice at its very moment, and a page after it."""
    shoppers = browser.shoppers
    moment = change_moment(shoppers.parameters, shopper)
    assert moment is not None
    rng = Random(f"{shoppers.parameters.seed}/{on}/consent/{shopper}")
    visit = Visit(shoppers, shopper, f"c{on:%Y%m%d}-{shopper}", moment - 9 * SECOND, rng)
    visit.logged_in = not shoppers.guest[shopper]
    visit.add("page_view")
    visit.at = moment
    visit.add("consent_update")
    visit.wait(5)
    visit.add("page_view")
    return visit.events


def _messages(browser: Browser, on: date, channel: str, share: float, at: int) -> Iterator[Record]:
    """The day's e-mails or pushes to members who allow them, and what they do with them."""
    shoppers = browser.shoppers
    rng = Random(f"{shoppers.parameters.seed}/{on}/{channel}")
    moment = _midnight(on) + at
    for shopper in range(shoppers.parameters.shoppers):
        if rng.random() >= share or shoppers.guest[shopper]:
            continue
        if shoppers.consent(shopper, moment)[channel] == "granted":
            yield from _message(browser, on, channel, shopper, moment)


def _message(browser: Browser, on: date, channel: str, shopper: int, moment: int) -> list[Record]:
    rng = Random(f"{browser.shoppers.parameters.seed}/{on}/{channel}/{shopper}")
    session = f"{channel[0]}{on:%Y%m%d}-{shopper}"
    visit = Visit(browser.shoppers, shopper, session, moment, rng, platform="server", logged_in=True)
    visit.add(f"{channel}_sent")
    if rng.random() < 0.4:
        visit.wait(1800)
        visit.platform = "app" if channel == "push" else "web"
        visit.add(f"{channel}_open")
        if channel == "email" and rng.random() < 0.4:
            item = browser.draw_item(rng, shopper, browser.draw_leaf(rng, shopper))
            visit.wait(20)
            visit.add("email_click", [browser.item(item)])
    return visit.events


def _midnight(on: date) -> int:
    return to_micros(datetime.combine(on, time(), tzinfo=UTC))

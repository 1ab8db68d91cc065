"""The shop of the bench at 1, 4 and 16 times the data.

Everything that carries a key grows with the factor: shoppers, their devices and sessions, and the items they look at, so
that no key gets hotter as the data grows. The days stay, for a batch of a larger shop has more events a day, not more days.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Any

from contracts.settings import Settings
from infra.demo.process import run_step
from infra.simulator.parameters import ShopParameters

FIRST, LAST = date(2011, 1, 3), date(2011, 2, 1)
"""From a Monday on, when the simulator sends its whole catalog, and while its shoppers still change their consent."""
SOURCE = "simulator"
ONCE = ShopParameters(items=1000, shoppers=3000, sessions_per_day=120)
WHAT = (
    "the project's simulator; shoppers, items and sessions a day grow with the factor, so keys do and none gets hotter; "
    "every factor has the same days"
)


def shop_of(factor: int, once: ShopParameters = ONCE) -> ShopParameters:
    """The shop `factor` times as large as `once`."""
    return replace(
        once,
        items=once.items * factor,
        shoppers=once.shoppers * factor,
        sessions_per_day=once.sessions_per_day * factor,
    )


def write_days(settings: Settings, shop: ShopParameters) -> None:
    """The shop's day files under the settings' `var`."""
    span = ("--from", FIRST.isoformat(), "--to", LAST.isoformat())
    size = ("--items", shop.items, "--shoppers", shop.shoppers, "--sessions-per-day", shop.sessions_per_day)
    run_step(settings, "adapt", "infra.adapt", SOURCE, *span, "--seed", str(shop.seed), *map(str, size))


def described(shop: ShopParameters) -> dict[str, Any]:
    """The shop's size, for the report."""
    sizes = asdict(shop)
    return {name: sizes[name] for name in ("shoppers", "items", "sessions_per_day")}

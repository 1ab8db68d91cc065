"""The shop's items: text, category, brand, style, popularity, and the price and stock of any day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np

from contracts.adapters.wire import Record
from contracts.clock import to_rfc3339
from contracts.fields import money
from infra.simulator.chance import Floats, Integers, units
from infra.simulator.parameters import ShopParameters
from infra.simulator.words import BRANDS, LEAVES, STYLES

CURRENCY = "GBP"
STYLE_PULL = 6.0
PROMOTED_SHARE, PROMOTION, SOLD_OUT_SHARE = 0.05, 0.8, 0.03
PRICE_STREAM, STOCK_STREAM, QUANTITY_STREAM = 1, 2, 3


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """All items, column by column ([items]); an item's number is its place.

    Attributes:
        draw: (leaf, style) → the leaf's items and their cumulative chance for a shopper of that style.
    """

    seed: int
    ids: list[str]
    titles: list[str]
    leaf: Integers
    style: Integers
    brand: Integers
    popularity: Floats
    base_price: Integers
    draw: dict[tuple[int, int], tuple[Integers, Floats]]

    def prices(self, on: date) -> Integers:
        """Minor units on a day: now and then an item is a fifth cheaper for its week."""
        promoted = self._chance(PRICE_STREAM, on) < PROMOTED_SHARE
        cheaper = np.maximum(1, np.round(self.base_price * PROMOTION)).astype(np.int64)
        return np.where(promoted, cheaper, self.base_price)

    def quantities(self, on: date) -> Integers:
        """Pieces in stock on a day; 0 is sold out."""
        pieces = 1 + (self._chance(QUANTITY_STREAM, on) * 200).astype(np.int64)
        return np.where(self._chance(STOCK_STREAM, on) < SOLD_OUT_SHARE, 0, pieces)

    def updates(self, on: date, everything: bool) -> list[Record]:
        """Catalog updates of midnight: what differs from the day before, or all items."""
        prices, pieces = self.prices(on), self.quantities(on)
        before = on - timedelta(days=1)
        changed = (prices != self.prices(before)) | (pieces != self.quantities(before))
        effective = to_rfc3339(datetime(on.year, on.month, on.day, tzinfo=UTC))
        chosen = range(len(self.ids)) if everything else np.flatnonzero(changed).tolist()
        return [self._update(n, int(prices[n]), int(pieces[n]), effective) for n in chosen]

    def _update(self, n: int, price: int, pieces: int, effective: str) -> Record:
        path = LEAVES[self.leaf[n]][0]
        return {
            "item_id": self.ids[n],
            "title": self.titles[n],
            "description": f"{self.titles[n]} by {BRANDS[self.brand[n]]}. For {path.split(' > ')[-1].lower()}.",
            "category": path,
            "brand": BRANDS[self.brand[n]],
            "price": money(price),
            "currency": CURRENCY,
            "availability": "in_stock" if pieces else "out_of_stock",
            "available_quantity": pieces,
            "margin": money(price // 3),
            "ships_in_days": 1 + n % 4,
            "effective_time": effective,
        }

    def _chance(self, stream: int, on: date) -> Floats:
        """A draw per item and week; the items' weeks begin on different days, so that every day has changes."""
        numbers = np.arange(len(self.ids))
        return units(self.seed, stream, numbers, (on.toordinal() + numbers) // 7)


@cache
def build_catalog(parameters: ShopParameters) -> Catalog:
    """The items of a shop."""
    count = parameters.items
    rng = np.random.default_rng([parameters.seed, 1])
    leaf = np.arange(count) % len(LEAVES)
    style = rng.integers(0, len(STYLES), count)
    brand = (leaf // 3 + rng.integers(0, 4, count) * 6) % len(BRANDS)
    popularity = 1.0 / (1.0 + rng.permutation(count)) ** 0.7
    usual = np.array([price for _, _, price in LEAVES])[leaf]
    price = np.maximum(50, np.round(usual * rng.lognormal(0.0, 0.4, count) / 5) * 5).astype(np.int64)
    return Catalog(
        parameters.seed,
        [f"s{n:06d}" for n in range(count)],
        [_title(int(leaf[n]), int(style[n]), n) for n in range(count)],
        leaf,
        style,
        brand,
        popularity,
        price,
        _draws(leaf, style, popularity),
    )


def _title(leaf: int, style: int, n: int) -> str:
    nouns, adjectives = LEAVES[leaf][1], STYLES[style]
    series = n // len(LEAVES)
    noun = nouns[series % len(nouns)]
    return f"{adjectives[series // 3 % len(adjectives)]} {noun} no. {series + 1}".capitalize()


def _draws(
    leaf: Integers, style: Integers, popularity: Floats
) -> dict[tuple[int, int], tuple[Integers, Floats]]:
    """Within a leaf an item is chosen by its popularity, `STYLE_PULL` times as often in the shopper's style."""
    draws = {}
    for kind in range(len(LEAVES)):
        items = np.flatnonzero(leaf == kind)
        for taste in range(len(STYLES)):
            weights = popularity[items] * np.where(style[items] == taste, STYLE_PULL, 1.0)
            draws[kind, taste] = (items, np.cumsum(weights) / weights.sum())
    return draws

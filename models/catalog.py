"""The catalog at a cut, and what the item tower reads of it: known id, words of title, category and brand, price step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.features import DAY_MICROS
from contracts.settings import Settings
from models.decide.ranker import COUNTED
from models.decide.words import WORDS, item_words
from models.tables import read_cut

Ints = npt.NDArray[np.int32]
PRICE_STEPS = 24
UNKNOWN_ID = 0
UNSEEN_DAYS = 1000
COLUMNS = (
    "item_id",
    "title",
    "category",
    "brand",
    "price_minor",
    "currency",
    "availability",
    "ships_in_days",
    "campaign",
    "offered_at",
    "item_first_seen_at",
    *COUNTED,
)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every item known at a cut, in the order of item ids.

    Attributes:
        offered_at: int64[items], µs, from when on the state holds that the cut knows.
        ships_in_days: int32[items], -1 where nothing is promised.
        carts_30d: int64[items], additions to the cart in the 30 days to the cut.
        numbers: float32[items, NUMBERS], what the ranker reads of each (`item_numbers`).
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    categories: tuple[str | None, ...]
    brands: tuple[str | None, ...]
    price_minor: tuple[int, ...]
    currency: tuple[str, ...]
    in_stock: npt.NDArray[np.bool_]
    offered_at: npt.NDArray[np.int64]
    campaigns: tuple[str | None, ...]
    ships_in_days: Ints
    carts_30d: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float32]

    @property
    def index(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.ids)}


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """The item tower's inputs: `ids` int32[n] (0 unknown), `words` int32[n, 16] (0 none), `prices` int32[n]."""

    ids: Ints
    words: Ints
    prices: Ints


def read_catalog_at(settings: Settings, cut_on: date) -> Catalog:
    """The items that have a catalog state at the cut."""
    rows = read_cut(settings, "gold_item_features", cut_on, COLUMNS).sort_by("item_id")
    columns = {name: rows.column(name).to_pylist() for name in COLUMNS}
    # A cut of before this column says of no state when it began.
    end = to_micros(Cut(cut_on).end)
    kept = [n for n, title in enumerate(columns["title"]) if title is not None]

    def of(name: str) -> tuple[Any, ...]:
        return tuple(columns[name][n] for n in kept)

    return Catalog(
        ids=of("item_id"),
        titles=of("title"),
        categories=of("category"),
        brands=of("brand"),
        price_minor=of("price_minor"),
        currency=of("currency"),
        in_stock=np.array([state == "in_stock" for state in of("availability")], bool),
        offered_at=np.array([end if at is None else at for at in of("offered_at")], np.int64),
        campaigns=of("campaign"),
        ships_in_days=np.array([-1 if days is None else days for days in of("ships_in_days")], np.int32),
        carts_30d=np.array([carts or 0 for carts in of("item_carts_30d")], np.int64),
        numbers=item_numbers(columns, cut_on)[kept],
    )


def item_numbers(columns: Mapping[str, Sequence[Any]], cut_on: date) -> npt.NDArray[np.float32]:
    """float32[items, NUMBERS] of columns of `gold_item_features`: logarithms of counts, and of the age in days at the cut's end; what nobody
    has met by then is no new item but one that nobody looks for."""
    counts = np.array([columns[name] for name in COUNTED], np.float64)
    seen = np.array([columns["item_first_seen_at"]], np.float64)
    ages = (to_micros(Cut(cut_on).end) - seen) / DAY_MICROS
    ages = np.nan_to_num(ages, nan=UNSEEN_DAYS)
    found = np.log1p(np.maximum(np.nan_to_num(np.concatenate([counts, ages])), 0))
    return np.ascontiguousarray(found.T, np.float32)


def item_features(catalog: Catalog, vocabulary: Mapping[str, int]) -> ItemFeatures:
    """What the tower reads; an item that `vocabulary` (item id → 1, 2, …) lacks is known by its content alone."""
    return ItemFeatures(
        ids=np.array([vocabulary.get(item, UNKNOWN_ID) for item in catalog.ids], np.int32),
        words=np.array(
            [
                item_words(*texts)
                for texts in zip(catalog.titles, catalog.categories, catalog.brands, strict=True)
            ],
            np.int32,
        ).reshape(-1, WORDS),
        prices=np.array([price_step(price) for price in catalog.price_minor], np.int32),
    )


def price_step(price_minor: int) -> int:
    """Two steps an octave: 1 → 0, 2 → 2, 100 → 13; at most PRICE_STEPS - 1."""
    return int(min(PRICE_STEPS - 1, 2 * np.log2(max(price_minor, 1))))


def vocabulary_of(items: Sequence[str]) -> dict[str, int]:
    """Item id → 1, 2, … in the order of ids; 0 is left for unknown items."""
    return {item: number for number, item in enumerate(sorted(set(items)), start=1)}

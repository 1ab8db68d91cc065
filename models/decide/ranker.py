"""Orders the candidates of one answer by a LightGBM ranker: what each source says of them, the slots, the item and the shopper.

```
about 300 of the blend ─► features float32[n, FEATURES] of the snapshot in memory ─► the blend, corrected by trees ─► the order
```

Training calls the same functions on the same arrays (`models.ranker`), so that a feature cannot mean two things.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

import lightgbm
import numpy as np
import numpy.typing as npt
from lightgbm.basic import LightGBMError

from models.decide.columns import Coded
from models.decide.facts import (
    OF_SESSION,
    OF_USER,
    SESSION_AMOUNTS,
    SESSION_SHARES,
    STAGES,
    USER_AMOUNTS,
    USER_SHARES,
)
from models.decide.query import Question, of_session, recency
from models.decide.scored import Floats, Ints, Scored

POOL = 300
"""Candidates that are put in order, and that the policy may arrange."""
COUNTED = (
    "item_views_7d",
    "item_views_30d",
    "item_impressions_30d",
    "item_carts_7d",
    "item_carts_30d",
    "item_purchases_7d",
    "item_purchases_30d",
    "item_refunds_90d",
    "item_visitors_7d",
    "item_price_updates_30d",
)
"""Features of an item at the cut that the ranker reads, as log(1 + x); its age in days, "item_age_days", stands after them."""
NUMBERS = (*COUNTED, "item_age_days")
AGE = NUMBERS.index("item_age_days")
NEW_DAYS, NEW, NEWEST = 14, 1000, 20
"""What was first met so many days before the cut is new; the newest so many are looked at; so many of them are put in order beside the
blend's best, whatever they lack of being known."""
SOURCES = ("similar", "popular", "together", "voted", "again", "shown")
BLENDED = ("blend", "behind_first", "place")
SLOTTED = ("slots", "session_slots", "times", "nearness", "in_session")
ALIKE = ("like_newest", "like_most", "like_mean", "same_category", "same_department", "same_brand")
PRICED = ("price", "dearer_than_slots", "dearer_than_user", "ships_in_days")
SHOPPER = (
    "session_known",
    *SESSION_AMOUNTS,
    *SESSION_SHARES,
    *(f"session_is_{stage}" for stage in STAGES),
    "user_known",
    *USER_AMOUNTS,
    *USER_SHARES,
)
FEATURES = (*SOURCES, *BLENDED, *SLOTTED, *ALIKE, *PRICED, *NUMBERS, *SHOPPER)
"""In the order of the columns."""
BLEND = FEATURES.index("blend")
PRIOR = 12.0
"""What a point of the blend counts before any tree has spoken, in the trees' measure: they are learned as a correction of its order."""
LOOKED_AT = 20
"""Slots that a candidate is held against, the newest."""
NO_KIND = -2
"""A code that no item has: what is of no kind is like nothing."""
USER_PRICE = OF_USER.start + 1 + USER_AMOUNTS.index("user_price_level_minor")


class Ordered(NamedTuple):
    """What a ranker says of candidates: float32[n], greater is better, and of what: float32[n, FEATURES]."""

    scores: Floats
    features: Floats


Rank: TypeAlias = Callable[[Question, Ints, Mapping[str, Floats]], Ordered]
"""Takes a question, candidates int32[n], best first by the blend, and what each source said of them."""


class Listed(Protocol):
    """A catalog, or a snapshot of one: what is read of its items beside vectors."""

    @property
    def numbers(self) -> Floats: ...
    @property
    def price_minor(self) -> Sequence[int] | npt.NDArray[np.int64]: ...
    @property
    def ships_in_days(self) -> Ints: ...
    @property
    def categories(self) -> Sequence[str | None]: ...
    @property
    def brands(self) -> Sequence[str | None]: ...


def new_rows(numbers: Floats) -> Ints:
    """Rows int32[≤ NEW] of float32[items, NUMBERS], the newest first."""
    ages = numbers[:, AGE]
    newest = np.argsort(ages, kind="stable")[:NEW].astype(np.int32)
    found: Ints = newest[ages[newest] <= np.log1p(NEW_DAYS)]
    return found


def pool_of(blended: Scored, new: Scored, count: int = POOL) -> Ints:
    """Candidates int32[n] that are put in order, best first by the blend: its best, and of the new items those nearest to the query.

    Args:
        blended: of all candidates, the new ones among them; rows that ascend.
    """
    best = blended.best(max(count, POOL))
    if not len(new):
        return best.items
    asked = np.union1d(best.items, new.best(NEWEST).items)
    return Scored(asked, blended.scores[np.searchsorted(blended.items, asked)]).best(len(asked)).items


@dataclass(frozen=True, slots=True)
class Items:
    """What is read of the catalog's items, in its order.

    Attributes:
        vectors: float32[items, 64]; `numbers` float32[items, NUMBERS], logarithmic.
        prices: float32[items], log(1 + minor units) / 4 as `facts` has amounts; `ships` float32[items], days, -1 where nothing is promised.
        categories: int32[items], codes, negative where there is none; `departments`, of the path's first part, and `brands` likewise.
    """

    vectors: Floats
    numbers: Floats
    prices: Floats
    ships: Floats
    categories: Ints
    departments: Ints
    brands: Ints

    @classmethod
    def of(cls, listed: Listed, vectors: Floats) -> Self:
        """With vectors float32[items, 64] of some model."""
        coded = Coded.of(listed.categories)
        return cls(
            vectors,
            listed.numbers,
            (np.log1p(np.maximum(np.asarray(listed.price_minor, np.float64), 0)) / 4).astype(np.float32),
            np.asarray(listed.ships_in_days, np.float32),
            coded.codes,
            _departments(coded),
            Coded.of(listed.brands).codes,
        )


def features(items: Items, question: Question, candidates: Ints, said: Mapping[str, Floats]) -> Floats:
    """float32[n, FEATURES] of candidates int32[n], best first by the blend.

    Args:
        said: what each source adds to their blend, float32[n] by its name.
    """
    count = len(candidates)
    found = np.zeros((count, len(FEATURES)), np.float32)
    column = iter(range(len(FEATURES)))
    for name in SOURCES:
        at = next(column)
        if name in said:
            found[:, at] = said[name]
    blend = np.sum(list(said.values()), axis=0, dtype=np.float32)
    found[:, next(column)] = blend
    found[:, next(column)] = blend - blend.max(initial=-np.inf) if count else blend
    found[:, next(column)] = np.log1p(np.arange(count))
    for values in _of_slots(items, question, candidates):
        found[:, next(column)] = values
    numbers = next(column)
    found[:, numbers : numbers + len(NUMBERS)] = items.numbers[candidates]
    found[:, len(FEATURES) - len(SHOPPER) :] = question.facts[OF_SESSION.start : OF_USER.stop]
    return found


def _of_slots(items: Items, question: Question, candidates: Ints) -> Sequence[Any]:
    """SLOTTED, ALIKE and PRICED, each float32[n] or one number for all."""
    filled = question.positions >= 0
    known, kinds = question.positions[filled], question.kinds[filled]
    visit = of_session(kinds)
    same = (candidates[:, None] == known[None, :]).astype(np.float32)
    counted = np.stack([np.ones(len(known), np.float32), recency(len(known)), visit.astype(np.float32)])
    times, lately, in_visit = counted @ same.T
    newest = known[:LOOKED_AT]
    weights = recency(len(newest))
    share = weights / max(float(weights.sum()), 1e-9)
    if len(newest):
        cosines = items.vectors[candidates] @ items.vectors[newest].T
        like = (cosines[:, 0], cosines.max(axis=1), cosines @ share)
    else:
        like = (0.0, 0.0, 0.0)
    price = items.prices[candidates]
    paid = float(share @ items.prices[newest]) if len(newest) else 0.0
    usual = float(question.facts[USER_PRICE])
    return (
        len(known),
        int(visit.sum()),
        times,
        lately,
        in_visit > 0,
        *like,
        *(_share_alike(codes, candidates, newest, share) for codes in _codes(items)),
        price,
        price - paid if paid else 0.0,
        price - usual if usual else 0.0,
        items.ships[candidates],
    )


def _codes(items: Items) -> tuple[Ints, Ints, Ints]:
    return items.categories, items.departments, items.brands


def _share_alike(codes: Ints, candidates: Ints, newest: Ints, share: Floats) -> Any:
    """float32[n]: how much of the newest slots is of the candidate's own kind."""
    slots = np.where(codes[newest] < 0, NO_KIND, codes[newest])
    return (codes[candidates][:, None] == slots[None, :]).astype(np.float32) @ share


def _departments(categories: Coded) -> Ints:
    """int32[items]: the code of the path's first part."""
    first = Coded.of(path.split(" > ", 1)[0] for path in categories.values)
    codes = np.append(first.codes, -1).astype(np.int32)
    found: Ints = codes[categories.codes]
    return found


def read_ranker(model: bytes) -> lightgbm.Booster:
    """The trees of a stored ranker.

    Raises:
        ValueError: they are none, or read other features than this code gives.
    """
    try:
        booster = lightgbm.Booster(model_str=model.decode())
    except LightGBMError as error:
        raise ValueError(f"no ranker: {error}") from error
    if tuple(booster.feature_name()) != FEATURES:
        raise ValueError("the ranker reads other features than this code gives: train anew")
    return booster


def ranked_by(booster: lightgbm.Booster, items: Items) -> Rank:
    """What the trees say of candidates; RuntimeError where they fail."""

    def rank(question: Question, candidates: Ints, said: Mapping[str, Floats]) -> Ordered:
        if not len(candidates):
            return Ordered(np.empty(0, np.float32), np.empty((0, len(FEATURES)), np.float32))
        given = features(items, question, candidates, said)
        try:
            found = booster.predict(given, raw_score=True, num_threads=1)
        except LightGBMError as error:
            raise RuntimeError(f"the ranker failed: {error}") from error
        return Ordered(np.asarray(found + PRIOR * given[:, BLEND], np.float32), given)

    return rank

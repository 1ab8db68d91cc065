"""The policy over a snapshot: what is withheld from a shopper at a place, and in which order the rest is shown.

```
rules ─► rows of the snapshot, once a snapshot     withheld(page, …) ─► what is not even retrieved
candidates in tiers (complements, champion, popular) ─► arrange(page, …) ─► pins, boosts, novelty, MMR, caps ─► picks
```
Within a tier the most relevant candidate counts 1 and the least 0, and a tier counts 1 more than the next: so a weight means the same
whatever retrieved the candidates, and what only fills the list needs a boost of 1 to pass the least of the champion's. Of equals the pool's first stands first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import numpy as np

from contracts.clock import to_micros
from contracts.features import DAY_MICROS, named_in
from contracts.policy import PLAIN, Items, Placement, PlacementName, Policy, Rule
from models.decide.columns import Coded
from models.decide.scored import Floats, Ints
from models.decide.snapshot import Snapshot

ALIKE = 0.5
"""From this likeness on an answer says that it counted."""


@dataclass(frozen=True, slots=True)
class Page:
    """What holds at one place at one moment; each rule with the rows int32 that it is about."""

    name: PlacementName
    at: datetime
    placement: Placement
    rules: Sequence[tuple[Rule, Ints]] = ()

    def of(self, *kinds: str) -> Iterator[tuple[Rule, Ints]]:
        """The rules of some kinds."""
        return ((rule, rows) for rule, rows in self.rules if rule.kind in kinds)

    def arranges(self, wishes: Wishes) -> bool:
        """Whether the order may be another than the relevance's."""
        place = self.placement
        asked = len(wishes.less) or (place.campaign and wishes.campaign)
        ruled = place.diversity or place.novelty or place.per_category or place.per_brand
        return bool(asked or ruled) or any(rule.kind != "block" for rule, _ in self.rules)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A policy and the rows of a snapshot that each of its rules is about."""

    policy: Policy = PLAIN
    rows: Sequence[Ints] = ()

    @classmethod
    def of(cls, policy: Policy, snapshot: Snapshot) -> Self:
        """Look up what the rules name; what the snapshot lacks is left out."""
        return cls(policy, [_rows_of(rule.items, snapshot) for rule in policy.rules])

    @property
    def idle(self) -> list[str]:
        """The names of the rules that name nothing that the snapshot has."""
        named = zip(self.policy.rules, self.rows, strict=True)
        return [rule.name for rule, rows in named if not len(rows)]

    def page(self, name: PlacementName, at: datetime) -> Page:
        """What holds there and then."""
        rules = [
            (rule, rows)
            for rule, rows in zip(self.policy.rules, self.rows, strict=True)
            if rule.holds(name, at)
        ]
        return Page(name, at, self.policy.at(name), rules)


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates, each once: rows int32[n], their tier int32[n], the score float32[n] they have there, and their value float32[n] in the
    list."""

    items: Ints
    scores: Floats
    values: Floats
    tiers: Ints

    @classmethod
    def of(cls, tiers: Sequence[tuple[Ints, Floats]]) -> Self:
        """Of candidates and scores tier by tier, the most important first; one that is in two counts in the first."""
        items, scores, values, numbers = (np.empty(0, kind) for kind in ("i4", "f4", "f4", "i4"))
        for number, (rows, given) in enumerate(tiers):
            new = np.isin(rows, items, invert=True) if number else np.ones(len(rows), bool)
            items, scores = np.concatenate([items, rows[new]]), np.concatenate([scores, given[new]])
            values = np.concatenate([values, _from_0_to_1(given[new]) - np.float32(number)])
            numbers = np.concatenate([numbers, np.full(int(new.sum()), number, np.int32)])
        return cls(items, scores, values, numbers)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request and its shopper ask of the order: the campaign that is shown, and rows int32 of whose like less is wanted."""

    campaign: str | None = None
    less: Ints = field(default_factory=lambda: np.empty(0, np.int32))


@dataclass(slots=True)
class Pick:
    """One item that is shown: its place in the pool, and the rules that moved it."""

    at: int
    rules: list[str] = field(default_factory=list)


def withheld(
    page: Page, snapshot: Snapshot, orders: Sequence[str], lists: Sequence[str]
) -> Iterator[tuple[str, Ints]]:
    """Why and which rows are not shown.

    Args:
        orders: what the shopper bought, as `named_in` reads it; `lists`: what the shopper was shown, likewise.
    """
    place, now = page.placement, to_micros(page.at)
    for rule, rows in page.of("block"):
        yield f"rule: {rule.name}", rows
    if place.bought_days is not None:
        times = _times(orders, now - place.bought_days * DAY_MICROS, now)
        yield f"bought within {place.bought_days} days", snapshot.rows_of(times)
    if place.seen is not None:
        times = _times(lists, now - place.seen.days * DAY_MICROS, now)
        often = [item for item, count in times.items() if count >= place.seen.times]
        yield f"shown {place.seen.times} times within {place.seen.days} days", snapshot.rows_of(often)
    if place.ships_within_days is not None:
        late = np.flatnonzero(snapshot.ships_in_days > place.ships_within_days).astype(np.int32)
        yield f"ships later than in {place.ships_within_days} days", late


def arrange(page: Page, snapshot: Snapshot, pool: Pool, wishes: Wishes, count: int) -> list[Pick]:
    """The best `count` of the pool in the policy's order."""
    values = pool.values.copy()
    moved: dict[int, list[str]] = {}
    place = page.placement

    def add(rows: Ints, weight: float, why: str) -> None:
        for at in np.flatnonzero(np.isin(pool.items, rows)).tolist():
            values[at] += weight
            moved.setdefault(at, []).append(why)

    for rule, rows in page.of("boost", "bury"):
        add(
            rows,
            (rule.weight or 0) * (1 if rule.kind == "boost" else -1),
            f"{rule.kind}: {rule.name}",
        )
    if place.campaign and wishes.campaign is not None:
        shown = snapshot.by_campaign.get(wishes.campaign, np.empty(0, np.int32))
        add(shown, place.campaign, f"campaign: {wishes.campaign}")
    for row in wishes.less.tolist():
        # What points the same way loses as much as lies between the best and the least.
        alike = _likeness(snapshot, pool.items, row)
        values -= alike
        for at in np.flatnonzero(alike >= ALIKE).tolist():
            moved.setdefault(at, []).append(f"less like: {snapshot.titles[row]}")
    if place.novelty:
        values -= np.float32(place.novelty) * snapshot.logarithmic[pool.items]
    pinned = _pins(page, pool.items, count)
    picks = [
        Pick(at, moved.get(at, []))
        for at in _in_order(place, snapshot, replace(pool, values=values), list(pinned), count)
    ]
    for at, rule in sorted(pinned.items(), key=lambda one: one[1].position or 0):
        picks.insert((rule.position or 1) - 1, Pick(at, [*moved.get(at, []), f"pin: {rule.name}"]))
    return picks[:count]


def _pins(page: Page, items: Ints, count: int) -> dict[int, Rule]:
    """Which place of the pool each pin takes that stands in the list: that of its first item that is there and not pinned already."""
    pinned: dict[int, Rule] = {}
    for rule, rows in page.of("pin"):
        if (rule.position or 1) > count:
            continue
        there = rows[np.isin(rows, items)][: len(pinned) + 1]
        places = (int(np.flatnonzero(items == row)[0]) for row in there)
        if (at := next((at for at in places if at not in pinned), None)) is not None:
            pinned[at] = rule
    return pinned


def _in_order(
    place: Placement, snapshot: Snapshot, pool: Pool, taken: Sequence[int], count: int
) -> list[int]:
    """Places of the pool, best first: greedily by value, less likeness to what stands before, within the caps.

    Source: Carbonell, Goldstein 1998, doi:10.1145/290941.291025 (MMR).
    """
    items, values = pool.items, pool.values
    left = np.ones(len(items), bool)
    alike = np.zeros(len(items), np.float32)
    used: dict[tuple[str, str], int] = {}
    caps = [
        (cap, of, texts)
        for cap, of, texts in (
            (place.per_category, "category", snapshot.categories),
            (place.per_brand, "brand", snapshot.brands),
        )
        if cap is not None
    ]

    def take(at: int) -> None:
        left[at] = False
        for _, of, texts in caps:
            if (text := texts[items[at]]) is not None:
                used[of, text] = used.get((of, text), 0) + 1
        if place.diversity:
            np.maximum(alike, _likeness(snapshot, items, int(items[at])), out=alike)

    for at in taken:
        take(at)
    if not place.diversity:
        order = iter(np.argsort(-values, kind="stable").tolist())
    chosen: list[int] = []
    while len(chosen) < count and left.any():
        if place.diversity:
            worth = (1 - place.diversity) * values - place.diversity * alike
            at = int(np.argmax(np.where(left, worth, -np.inf)))
        else:
            at = next(order)
        if not left[at]:
            continue
        full = any(used.get((of, str(texts[items[at]])), 0) >= cap for cap, of, texts in caps)
        if full:
            left[at] = False
            continue
        take(at)
        chosen.append(at)
    return chosen


def _likeness(snapshot: Snapshot, items: Ints, row: int) -> Floats:
    """float32[n], from 0 to 1, of each of the items to one: of vectors where there are any, else of the category."""
    if len(snapshot.vectors):
        alike: Floats = np.maximum(snapshot.vectors[items] @ snapshot.vectors[row], 0)
        return alike
    codes = Coded.of(snapshot.categories).codes
    same: Floats = ((codes[items] == codes[row]) & (codes[row] >= 0)).astype(np.float32)
    return same


def _times(named: Sequence[str], since: int, now: int) -> dict[str, int]:
    """How often each item is named from `since` to `now`, µs."""
    found: dict[str, int] = {}
    for at, items in map(named_in, named):
        if since <= at <= now:
            for item in items:
                found[item] = found.get(item, 0) + 1
    return found


def _rows_of(items: Items, snapshot: Snapshot) -> Ints:
    """The rows that a rule is about: those it names in its order, then those of its categories, brands and campaigns."""
    found = [
        *snapshot.rows_of(items.ids).tolist(),
        *snapshot.below(items.categories).tolist(),
        *snapshot.made_by(items.brands).tolist(),
        *(row for name in items.campaigns for row in snapshot.by_campaign.get(name, ())),
    ]
    return np.array(list(dict.fromkeys(found)), np.int32)


def _from_0_to_1(scores: Floats) -> Floats:
    """The least 0, the greatest 1; 1 where all are equal."""
    if not len(scores):
        return scores
    low, high = float(scores.min()), float(scores.max())
    if high <= low:
        return np.ones_like(scores)
    found: Floats = ((scores - low) / (high - low)).astype(np.float32)
    return found

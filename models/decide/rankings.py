"""What each retriever says of the snapshot's items: the best of those that are allowed, where they come from, and why each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.decide.blend import neighbour_sums, parts, total, weight_of_popularity
from models.decide.query import CARTED_KIND, Question, of_session
from models.decide.ranker import POOL, PRIOR, Rank
from models.decide.reasons import Explain, explain_by_neighbours, explain_with
from models.decide.scored import NOTHING, Floats, Ints, Mask, Scored
from models.decide.sessions import votes
from models.decide.snapshot import Snapshot

FULL, STALE_SESSION, USER_EMBEDDING, CONTEXTUAL, POPULAR = range(5)
RUNGS = ("full", "stale_session", "user_embedding", "contextual", "popular")
RETRIEVED = 500
"""Items that are retrieved by vector for one answer, and scored exactly."""
CHUNK = 4096

Best = Callable[[Mask, int], Scored]
"""Of the allowed items bool[items] the best so many, best first."""
Parts = Callable[[int], Mapping[str, float]]
"""What makes up an item's score, by name."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best items, their source and explanation, the rung they stand on, and what each source adds to an item's score."""

    best: Best
    source: str
    explain: Explain
    level: int
    cause: str | None
    parts: Parts | None = None


def popular(snapshot: Snapshot, level: int, cause: str | None) -> Ranking:
    """What most shoppers take."""

    def best(allowed: Mask, count: int) -> Scored:
        items = _first_allowed(snapshot.by_popularity, allowed, count)
        return Scored(items, snapshot.popularity[items])

    return Ranking(best, RUNGS[POPULAR], explain_with("popular"), level, cause)


def contextual(snapshot: Snapshot, context: Sequence[str], cause: str | None) -> Ranking | None:
    """What is similar to the first item of the request's context that the snapshot can compare; None without one.

    By its neighbours where it has any (shoppers who met the one met the other), else by its vector.
    """
    for item in context:
        position = snapshot.index.get(item)
        best = None if position is None else _similar(snapshot, position)
        if position is not None and best is not None:
            explain = explain_with(f"similar to {snapshot.titles[position]}")
            return Ranking(best, RUNGS[CONTEXTUAL], explain, CONTEXTUAL, cause)
    return None


def complements(snapshot: Snapshot, cart: Sequence[str]) -> Ranking | None:
    """What is met with the cart's items and stands in none of their categories; None where nothing is known of them."""
    positions = snapshot.rows_of(cart)
    if not len(positions):
        return None
    others = np.ones(len(snapshot.ids), bool)
    for row in positions.tolist():
        if (category := snapshot.categories[row]) is not None:
            others[snapshot.by_category[category]] = False
    best = by_neighbours(snapshot, positions)
    explain = explain_by_neighbours(snapshot, positions, np.full(len(positions), CARTED_KIND, np.int32))
    return Ranking(
        lambda allowed, count: best(allowed & others, count),
        "complements",
        explain,
        FULL,
        None,
    )


def by_neighbours(snapshot: Snapshot, positions: Ints) -> Best:
    """Neighbours of `positions`, newest first, by the sum of their scores."""
    found = neighbour_sums(snapshot.neighbours, snapshot.scores, positions)
    speaking = Scored(found.items[found.scores > 0], found.scores[found.scores > 0])
    return lambda allowed, count: speaking.among(allowed).best(count)


def by_vector(snapshot: Snapshot, vector: Floats) -> Best:
    """Nearest to one vector float32[dim]."""

    def best(allowed: Mask, count: int) -> Scored:
        items = snapshot.nearest().best(vector, 0.0, allowed, max(count, RETRIEVED))
        return Scored(items, snapshot.vectors[items] @ vector).best(count)

    return best


def by_blend(snapshot: Snapshot, question: Question, vector: Floats, rank: Rank | None) -> tuple[Best, Parts]:
    """By `decide.blend`: what is retrieved by vector and popularity, and what another source speaks for, its best in the order of `rank`;
    and what each source adds to the blend."""
    positions, kinds, blend = question.positions, question.kinds, snapshot.blend
    known = positions[positions >= 0]
    together = neighbour_sums(snapshot.neighbours, snapshot.scores, known)
    voted = votes(snapshot.sessions, positions[of_session(kinds)]) if blend.voted else NOTHING
    popular = weight_of_popularity(blend, len(known))
    ordered: dict[int, float] = {}

    def said(items: Ints) -> dict[str, Floats]:
        return parts(
            items,
            snapshot.vectors[items] @ vector,
            positions,
            kinds,
            popularity=snapshot.logarithmic[items],
            together=together,
            voted=voted,
            blend=blend,
        )

    def best(allowed: Mask, count: int) -> Scored:
        near = snapshot.nearest().best(vector, popular, allowed, max(count, RETRIEVED))
        items = np.unique(np.concatenate([near, known, together.items, voted.items])).astype(np.int32)
        items = items[allowed[items]]
        spoken = said(items)
        blended = Scored(items, total(spoken))
        if rank is None:
            return blended.best(count)
        pool = blended.best(max(count, POOL)).items
        at = np.searchsorted(items, pool)
        order = rank(question, pool, {name: value[at] for name, value in spoken.items()})
        ordered.update(zip(pool.tolist(), order.tolist(), strict=True))
        return Scored(pool, order).best(count)

    def made_of(item: int) -> Mapping[str, float]:
        scale = PRIOR if item in ordered else 1.0
        found = {name: scale * float(value[0]) for name, value in said(np.array([item], np.int32)).items()}
        return {**found, "ranker": ordered[item] - sum(found.values())} if item in ordered else found

    return best, made_of


def _similar(snapshot: Snapshot, position: int) -> Best | None:
    """Like one item, itself no candidate; None where nothing is known of it."""
    others = np.ones(len(snapshot.ids), bool)
    others[position] = False
    best = by_neighbours(snapshot, np.array([position], np.int32))
    if not len(best(others, 1)):
        if not len(snapshot.vectors) or not snapshot.vectors[position].any():
            return None
        best = by_vector(snapshot, snapshot.vectors[position])
    return lambda allowed, count: best(allowed & others, count)


def _first_allowed(order: Ints, allowed: Mask, count: int) -> Ints:
    """The first `count` of `order` that are allowed; a part of it is looked at after the other."""
    found: list[Ints] = []
    missing = count
    for start in range(0, len(order), CHUNK):
        if missing <= 0:
            break
        part = order[start : start + CHUNK]
        found.append(part[allowed[part]][:missing])
        missing -= len(found[-1])
    return np.concatenate(found) if found else order[:0]

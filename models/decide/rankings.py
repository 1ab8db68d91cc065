"""What each retriever says of the snapshot's items: the best of those that are allowed, where they come from, and why each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.decide.blend import neighbour_sums, parts, spread, total, weight_of_popularity
from models.decide.query import CARTED_KIND, Question, of_session
from models.decide.ranker import FEATURES, NEWEST, PRIOR, Ordered, pool_of
from models.decide.reasons import Explain, explain_by_neighbours, explain_with
from models.decide.scored import NOTHING, Floats, Ints, Mask, Scored
from models.decide.sessions import votes
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot

FULL, STALE_SESSION, USER_EMBEDDING, CONTEXTUAL, COHORT, POPULAR = range(6)
RUNGS = ("full", "stale_session", "user_embedding", "contextual", "cohort", "popular")
RETRIEVED = 500
"""Items that are retrieved by vector for one answer, and scored exactly."""
CHUNK = 4096

Best = Callable[[Mask, int], Scored]
"""Of the allowed items bool[items] the best so many, best first."""


class Told(NamedTuple):
    """Of one item: what makes up its score, by name, and what the ranker read of it, by feature; nothing where none ranked it."""

    parts: Mapping[str, float]
    features: Mapping[str, float]


Tell = Callable[[int], Told]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best items, their source and explanation, the rung they stand on, and what can be told of an item."""

    best: Best
    source: str
    explain: Explain
    level: int
    cause: str | None
    tell: Tell | None = None


def popular(served: Served, level: int, cause: str | None) -> Ranking:
    """What most shoppers take, and take this hour."""
    snapshot, trending = served.snapshot, served.shelf.trending

    def best(allowed: Mask, count: int) -> Scored:
        usual = _first_allowed(snapshot.by_popularity, allowed, count)
        items = np.union1d(usual, trending.among(allowed).items) if len(trending) else usual
        return _lifted(snapshot, Scored(items, snapshot.logarithmic[items]), trending).best(count)

    return Ranking(best, RUNGS[POPULAR], _explain_popular(trending, "popular"), level, cause)


def of_cohort(served: Served, country: str | None, cause: str | None) -> Ranking | None:
    """What shoppers of the request's country take; None where it has no list."""
    trending, listed = served.shelf.trending, served.snapshot.cohorts.named(country)
    if listed is None:
        return None
    lifted = _lifted(served.snapshot, listed, trending)
    explain = _explain_popular(trending, f"popular in {country}")
    return Ranking(
        lambda allowed, count: lifted.among(allowed).best(count), RUNGS[COHORT], explain, COHORT, cause
    )


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


def by_blend(served: Served, question: Question, vector: Floats) -> tuple[Best, Tell]:
    """By `decide.blend`: what is retrieved by vector and popularity, and what another source speaks for; its best, and the new items that
    are nearest, in the order of the ranker; and what each source adds to the blend, and what the ranker read."""
    snapshot, trending, rank = served.snapshot, served.shelf.trending, served.rank
    positions, kinds, blend = question.positions, question.kinds, snapshot.blend
    known = positions[positions >= 0]
    together = neighbour_sums(snapshot.neighbours, snapshot.scores, known)
    voted = votes(snapshot.sessions, positions[of_session(kinds)]) if blend.voted else NOTHING
    popular = weight_of_popularity(blend, len(known))
    pool, ordered = NOTHING.items, Ordered(NOTHING.scores, np.empty((0, len(FEATURES)), np.float32))

    def said(items: Ints) -> dict[str, Floats]:
        return parts(
            items,
            snapshot.vectors[items] @ vector,
            positions,
            kinds,
            popularity=snapshot.logarithmic[items],
            together=together,
            voted=voted,
            trending=trending,
            blend=blend,
        )

    def best(allowed: Mask, count: int) -> Scored:
        nonlocal pool, ordered
        near = snapshot.nearest().best(vector, popular, allowed, max(count, RETRIEVED))
        new = Scored(snapshot.new, snapshot.new_vectors @ vector).among(allowed).best(NEWEST)
        sources = (near, known, together.items, voted.items, trending.items, new.items)
        items = np.unique(np.concatenate(sources)).astype(np.int32)
        items = items[allowed[items]]
        spoken = said(items)
        blended = Scored(items, total(spoken))
        if rank is None:
            return blended.best(count)
        pool = pool_of(blended, new, count)
        at = np.searchsorted(items, pool)
        ordered = rank(question, pool, {name: value[at] for name, value in spoken.items()})
        return Scored(pool, ordered.scores).best(count)

    def tell(item: int) -> Told:
        at = np.flatnonzero(pool == item)
        scale = PRIOR if len(at) else 1.0
        found = {name: scale * float(value[0]) for name, value in said(np.array([item], np.int32)).items()}
        if not len(at):
            return Told(found, {})
        found["ranker"] = float(ordered.scores[at[0]]) - sum(found.values())
        return Told(found, dict(zip(FEATURES, ordered.features[at[0]].tolist(), strict=True)))

    return best, tell


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


def _lifted(snapshot: Snapshot, usual: Scored, trending: Scored) -> Scored:
    """What is trending counts for more."""
    if not len(trending):
        return usual
    order = np.argsort(usual.items)
    lift = np.empty_like(usual.scores)
    share = np.float32(snapshot.blend.trending)
    lift[order] = spread(usual.items[order], trending.items, share * trending.scores)
    return Scored(usual.items, usual.scores + lift)


def _explain_popular(trending: Scored, reason: str) -> Explain:
    rushes = set(trending.items.tolist())
    return lambda item: ["trending"] if item in rushes else [reason]


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

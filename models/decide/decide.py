"""One decision: the ladder of docs/architecture.md over a snapshot, for web answers and exported lists alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from contracts.decisions import Degraded, Result
from contracts.placements import Placement
from models.decide.query import SESSION_KIND, recency, slots
from models.decide.reasons import Explain, explain_by_neighbours, explain_by_vectors, explain_with
from models.decide.snapshot import Snapshot

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Query = Callable[[Ints, Ints], Floats]

RUNGS = ("full", "stale_session", "user_embedding", "popular")
POPULAR = "popular"
NO_CONSENT = "no consent for personalization"
NOTHING_KNOWN = "nothing known of the shopper"


@dataclass(frozen=True, slots=True)
class Shopper:
    """What is known of a shopper at the moment of the decision; lists are newest first.

    Attributes:
        session_items: `session_last_items` of a fresh session row.
        carted: `session_last_carted`; these are not recommended.
        user_items: `user_last_items`.
        vector: the stored embedding float32[64] and `vector_model`, the model version that made it.
        consent_granted: whether personalization is granted now.
        session_problem: why the session row cannot be used though there should be one ("session row is
            7200 s old"); its items must then not be given. `user_problem`: the same of the user row.
        failure: a dependency failed and nothing could be read.
        exclude: further items not to recommend.
    """

    session_items: Sequence[str] = ()
    carted: Sequence[str] = ()
    user_items: Sequence[str] = ()
    vector: Floats | None = None
    vector_model: str | None = None
    consent_granted: bool = False
    session_problem: str | None = None
    user_problem: str | None = None
    failure: str | None = None
    exclude: Sequence[str] = ()

    @property
    def problem(self) -> str | None:
        return self.failure or self.session_problem or self.user_problem


@dataclass(frozen=True, slots=True)
class Decided:
    """The results in order, and the rung of the ladder they stand on."""

    results: list[Result]
    degraded: Degraded


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Scores float32[items] (-inf: no candidate), where they come from and how each is explained."""

    scores: Floats
    source: str
    explain: Explain
    level: int
    cause: str | None


def decide(
    snapshot: Snapshot, shopper: Shopper, placement: Placement, count: int, query: Query | None
) -> Decided:
    """The best `count` items (at most the placement's `max_count`) in stock and not excluded.

    `query` maps the slots (positions int32[50], kinds int32[50]) to the query vector float32[64]; None when
    the champion has no query tower. What the champion leaves open is filled from the popular items. Ties
    stand in the snapshot's item order.
    """
    wanted = max(0, min(count, placement.max_count))
    allowed = _allowed(snapshot, shopper)
    ranking = _rank(snapshot, shopper, query)
    results = _results(snapshot, ranking, allowed, wanted)
    if not results and ranking.source != POPULAR:
        ranking = _popular(snapshot, 3, "the champion had no candidate")
    if len(results) < wanted:
        left = allowed.copy()
        left[[snapshot.index[result.item_id] for result in results]] = False
        fill = _popular(snapshot, ranking.level, ranking.cause)
        results += _results(snapshot, fill, left, wanted - len(results))
    return Decided(results, Degraded(level=ranking.level, rung=RUNGS[ranking.level], cause=ranking.cause))


def top(scores: Floats, count: int) -> npt.NDArray[np.intp]:
    """Positions of the `count` greatest finite scores, greatest first, ties by position."""
    count = min(count, int(np.isfinite(scores).sum()))
    if count <= 0:
        return np.empty(0, np.intp)
    least = np.partition(scores, -count)[-count]
    above = np.flatnonzero(scores > least)
    chosen = np.concatenate([above, np.flatnonzero(scores == least)[: count - len(above)]])
    ordered: npt.NDArray[np.intp] = chosen[np.lexsort((chosen, -scores[chosen]))]
    return ordered


def neighbour_scores(snapshot: Snapshot, positions: Ints) -> Floats:
    """float32[items]: each item's neighbour scores summed over `positions` (newest first); -inf where there is none."""
    found = snapshot.neighbours[positions]
    real = found >= 0
    given = snapshot.scores[positions] * recency(len(positions))[:, None]
    summed = np.bincount(found[real], given[real], minlength=len(snapshot.ids)).astype(np.float32)
    return np.where(summed > 0, summed, np.float32(-np.inf))


def _rank(snapshot: Snapshot, shopper: Shopper, query: Query | None) -> _Ranking:
    """The highest rung that can be stood on."""
    if not shopper.consent_granted:
        return _popular(snapshot, 3, shopper.failure or NO_CONSENT)
    positions, kinds = slots(shopper.session_items, shopper.user_items, snapshot.index)
    known = positions >= 0
    cause = shopper.problem
    if known.any():
        stale = shopper.session_problem is not None and SESSION_KIND not in kinds
        ranking = _champion(snapshot, shopper, positions, kinds, query)
        if ranking is not None:
            return replace(ranking, level=1 if stale else 0, cause=cause)
        cause = "the query tower gave no vector"
    if _vector_fits(snapshot, shopper):
        scores = snapshot.vectors @ np.asarray(shopper.vector, np.float32)
        explain = explain_with("close to your earlier choices")
        return _Ranking(scores, "user_embedding", explain, 2, cause or "no row gives a query")
    return _popular(snapshot, 3, cause or NOTHING_KNOWN)


def _champion(
    snapshot: Snapshot, shopper: Shopper, positions: Ints, kinds: Ints, query: Query | None
) -> _Ranking | None:
    """The champion's scores for the slots; None when its query cannot be had."""
    known = positions[positions >= 0]
    if snapshot.kind == "item_knn":
        explain = explain_by_neighbours(snapshot, known, kinds, shopper.carted)
        return _Ranking(neighbour_scores(snapshot, known), "item_knn", explain, 0, None)
    if snapshot.kind == "popularity":
        return _popular(snapshot, 0, None)
    vector = None if query is None else query(positions, kinds)
    if vector is None or not np.isfinite(vector).all():
        return None
    explain = explain_by_vectors(snapshot, known, kinds, shopper.carted)
    return _Ranking(snapshot.vectors @ vector, "two_tower", explain, 0, None)


def _vector_fits(snapshot: Snapshot, shopper: Shopper) -> bool:
    """A stored vector only means something among the item vectors of the same model."""
    vector = shopper.vector
    if vector is None or len(snapshot.vectors) == 0 or shopper.vector_model != snapshot.model_version:
        return False
    return len(vector) == snapshot.vectors.shape[1] and bool(np.isfinite(vector).all())


def _popular(snapshot: Snapshot, level: int, cause: str | None) -> _Ranking:
    return _Ranking(snapshot.popularity, POPULAR, explain_with("popular"), level, cause)


def _allowed(snapshot: Snapshot, shopper: Shopper) -> npt.NDArray[np.bool_]:
    allowed = snapshot.in_stock.copy()
    for item in (*shopper.carted, *shopper.exclude):
        if item in snapshot.index:
            allowed[snapshot.index[item]] = False
    return allowed


def _results(
    snapshot: Snapshot, ranking: _Ranking, allowed: npt.NDArray[np.bool_], count: int
) -> list[Result]:
    best = top(np.where(allowed, ranking.scores, np.float32(-np.inf)), count)
    return [
        Result(
            item_id=snapshot.ids[item],
            score=float(ranking.scores[item]),
            source=ranking.source,
            reasons=ranking.explain(int(item)),
        )
        for item in best
    ]

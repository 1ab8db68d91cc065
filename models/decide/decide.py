"""One decision: the ladder of docs/architecture.md over a snapshot, for web answers and exported lists alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeAlias

import numpy as np

from contracts.decisions import Degraded, Result
from contracts.policy import PlacementName
from models.decide.facts import REQUEST_NAMES, facts_of
from models.decide.policy import Page, Pick, Pool, Wishes, arrange, withheld
from models.decide.query import Question, of_session, slots
from models.decide.ranker import POOL
from models.decide.rankings import (
    COHORT,
    CONTEXTUAL,
    FULL,
    POPULAR,
    RUNGS,
    STALE_SESSION,
    USER_EMBEDDING,
    Ranking,
    Told,
    by_blend,
    by_neighbours,
    by_vector,
    complements,
    contextual,
    of_cohort,
    popular,
)
from models.decide.reasons import explain_by_neighbours, explain_by_vectors, explain_with
from models.decide.scored import Ints, Mask, Scored
from models.decide.shelf import Served
from models.decide.shopper import Shopper, Wanted
from models.decide.snapshot import Snapshot
from models.decide.words import WORDS, known_words, word_buckets

Rows: TypeAlias = Ints | Mask
NO_CANDIDATE = "the champion had no candidate"
NO_CONSENT = "no consent for personalization"
NOTHING_KNOWN = "nothing known of the shopper"


@dataclass(frozen=True, slots=True)
class Decided:
    """The results in order, the rung of the ladder they stand on, and what can be told of each, worked out when asked for."""

    results: list[Result]
    degraded: Degraded
    told: Sequence[Callable[[], Told]] = field(default=(), repr=False, compare=False)


def decide(served: Served, shopper: Shopper, name: PlacementName, count: int, at: datetime) -> Decided:
    """The best `count` items (at most the placement's `max_count`) in stock and not withheld, in the policy's order.

    What the champion leaves open is filled from the popular items. Ties stand in the snapshot's item order.

    Args:
        at: the moment of the decision: rules may hold for a time.
    """
    page = served.rules.page(name, at)
    wanted = max(0, min(count, page.placement.max_count))
    allowed = np.ones(len(served.snapshot.ids), bool)
    for _, rows in kept_back(served, shopper, page):
        _take_away(allowed, rows)
    less = served.snapshot.rows_of(shopper.less_items if shopper.consent_granted else ())
    wishes = Wishes(shopper.campaign, less)
    pooled = max(wanted, POOL) if page.arranges(wishes) else wanted
    level, cause, tiers = _tiers(served, shopper, page, allowed, pooled)
    pool = Pool.of([(found.items, found.scores) for _, found in tiers])
    picks = arrange(page, served.snapshot, pool, wishes, wanted)
    results = [_result(served.snapshot, tiers, pool, pick) for pick in picks]
    told = [partial(_told, tiers, pool, pick) for pick in picks]
    return Decided(results, Degraded(level=level, rung=RUNGS[level], cause=cause), told)


def kept_back(served: Served, shopper: Shopper, page: Page) -> Iterator[tuple[str, Rows]]:
    """Why and which rows int32, or bool[items], are not shown; an item may be named by several reasons."""
    snapshot, shelf = served.snapshot, served.shelf
    yield "out of stock", ~shelf.in_stock
    yield "in the cart", snapshot.rows_of([*shopper.cart, *shopper.carted])
    yield "excluded by the request", snapshot.rows_of(shopper.exclude)
    if shopper.consent_granted:
        yield "muted", snapshot.rows_of(shopper.muted_items)
        yield "muted category", snapshot.below(shopper.muted_categories)
        yield "less like this", snapshot.rows_of(shopper.less_items)
    yield from _unwanted(served, shopper.wanted)
    yield from withheld(page, snapshot, shopper.orders, shopper.lists)


def withheld_counts(served: Served, shopper: Shopper, page: Page) -> dict[str, int]:
    """How many items are kept back for each reason; an item that several would keep back counts for the first."""
    allowed = np.ones(len(served.snapshot.ids), bool)
    counts: dict[str, int] = {}
    for why, rows in kept_back(served, shopper, page):
        before = int(allowed.sum())
        _take_away(allowed, rows)
        if left := before - int(allowed.sum()):
            counts[why] = counts.get(why, 0) + left
    return counts


def _take_away(allowed: Mask, rows: Rows) -> None:
    if rows.dtype == np.bool_:
        # `allowed[rows] = False` takes thirty times as long: a millisecond for half a million items.
        np.greater(allowed, rows, out=allowed)
    else:
        allowed[rows] = False


Tier = tuple[Ranking, Scored]


def _tiers(
    served: Served, shopper: Shopper, page: Page, allowed: Mask, count: int
) -> tuple[int, str | None, list[Tier]]:
    """The rung that was stood on and why, and the candidates: complements where they are asked for, the ranking's, and popular ones."""
    snapshot = served.snapshot
    for ranking in _downwards(served, shopper):
        found = ranking.best(allowed, count)
        if len(found):
            break
    tiers = [(ranking, found)]
    if page.placement.complements and (beside := complements(snapshot, _cart_of(shopper))) is not None:
        tiers.insert(0, (beside, beside.best(allowed, count)))
    if len(found) < count:
        left = allowed.copy()
        left[found.items] = False
        fill = popular(served, ranking.level, ranking.cause)
        tiers.append((fill, fill.best(left, count - len(found))))
    pins = [rows for _, rows in page.of("pin")]
    # The others can take all but one of a pin's first items.
    pinned = [rows[allowed[rows]][: len(pins)] for rows in pins]
    if pinned:
        fill = popular(served, ranking.level, ranking.cause)
        rows = np.array(list(dict.fromkeys(np.concatenate(pinned).tolist())), np.int32)
        tiers.append((fill, Scored(rows, snapshot.logarithmic[rows])))
    return ranking.level, ranking.cause, tiers


def _downwards(served: Served, shopper: Shopper) -> Iterator[Ranking]:
    """The highest rung that can be stood on, and those below it, in case it has no candidate."""
    ranking = _rank(served, shopper)
    yield ranking
    if ranking.source == RUNGS[POPULAR]:
        return
    if ranking.level < CONTEXTUAL:
        ranking = _without_rows(served, shopper, NO_CANDIDATE)
        yield ranking
    if ranking.level < COHORT:
        ranking = _of_all(served, shopper, ranking.cause)
        yield ranking
    if ranking.level < POPULAR:
        yield popular(served, POPULAR, ranking.cause)


def _cart_of(shopper: Shopper) -> Sequence[str]:
    """What lies in the cart: by the session's row, or as the request says."""
    return list(dict.fromkeys([*shopper.cart, *shopper.carted, *shopper.context]))


def _rank(served: Served, shopper: Shopper) -> Ranking:
    """The highest rung that can be stood on."""
    snapshot = served.snapshot
    if not shopper.consent_granted:
        return _without_rows(served, shopper, shopper.failure or NO_CONSENT)
    question, reason = question_of(shopper, snapshot)
    cause = shopper.problem
    if not question.is_empty:
        stale = shopper.session_problem is not None and not of_session(question.kinds).any()
        ranking = _champion(served, question, reason)
        if ranking is not None:
            return replace(ranking, level=STALE_SESSION if stale else FULL, cause=cause)
        cause = NO_CANDIDATE if served.query is None else "the query tower gave no vector"
    if _vector_fits(snapshot, shopper):
        best = by_vector(snapshot, np.asarray(shopper.vector, np.float32))
        explain = explain_with("close to your earlier choices")
        return Ranking(best, RUNGS[USER_EMBEDDING], explain, USER_EMBEDDING, cause or "no row gives a query")
    return _without_rows(served, shopper, cause or NOTHING_KNOWN)


def question_of(shopper: Shopper, snapshot: Snapshot) -> tuple[Question, str]:
    """What the query tower reads of the shopper, and the reason that its words give.

    The first of what was said that holds a word of the catalog counts.
    """
    positions, kinds = slots(shopper.session_items, shopper.carted, shopper.user_items, snapshot.index)
    words, reason = np.zeros(WORDS, np.int32), ""
    for text, how in shopper.said():
        words, reason = known_words(snapshot.word_vectors, word_buckets(text)), how
        if words.any():
            break
    return Question(positions, kinds, words, facts_of(shopper.features)), reason


def _without_rows(served: Served, shopper: Shopper, cause: str) -> Ranking:
    """What can be said to anybody: similar to the item of the request, else near its words, else what its country takes, else popular."""
    snapshot = served.snapshot
    similar = contextual(snapshot, shopper.context, cause)
    if similar is not None:
        return similar
    if snapshot.kind != "two_tower":
        return _of_all(served, shopper, cause)
    asked = Shopper(
        search_term=shopper.search_term,
        interests=shopper.interests,
        features={name: shopper.features.get(name) for name in REQUEST_NAMES},
    )
    question, reason = question_of(asked, snapshot)
    near = None if question.is_empty else _champion(served, question, reason)
    if near is None:
        return _of_all(served, shopper, cause)
    return replace(near, source=RUNGS[CONTEXTUAL], level=CONTEXTUAL, cause=cause)


def _of_all(served: Served, shopper: Shopper, cause: str | None) -> Ranking:
    """What shoppers of the request's country take, else what all take."""
    country = shopper.features.get("request_country")
    cohort = of_cohort(served, country if isinstance(country, str) else None, cause)
    return cohort or popular(served, POPULAR, cause)


def _champion(served: Served, question: Question, reason: str) -> Ranking | None:
    """The champion's scores for the question; None when it has no answer to it."""
    snapshot = served.snapshot
    positions, kinds = question.positions, question.kinds
    known = positions[positions >= 0]
    if snapshot.kind == "item_knn":
        if not len(known):
            return None
        explain = explain_by_neighbours(snapshot, known, kinds)
        return Ranking(by_neighbours(snapshot, known), "item_knn", explain, FULL, None)
    if snapshot.kind == "popularity":
        return popular(served, FULL, None)
    vector = None if served.query is None else served.query(question)
    if vector is None or not np.isfinite(vector).all():
        return None
    explain = explain_by_vectors(snapshot, known, kinds) if len(known) else explain_with(reason)
    best, tell = by_blend(served, question, vector)
    return Ranking(best, "two_tower", explain, FULL, None, tell)


def _vector_fits(snapshot: Snapshot, shopper: Shopper) -> bool:
    """A stored vector only means something among the item vectors of the same model."""
    vector = shopper.vector
    if vector is None or len(snapshot.vectors) == 0 or shopper.vector_model != snapshot.model_version:
        return False
    return len(vector) == snapshot.vectors.shape[1] and bool(np.isfinite(vector).all())


def _unwanted(served: Served, wanted: Wanted) -> Iterator[tuple[str, Rows]]:
    """What the request's filter leaves out."""
    snapshot, price = served.snapshot, served.shelf.price_minor
    for why, asked, found in (
        ("of another category than the filter's", wanted.categories, snapshot.below),
        ("of another brand than the filter's", wanted.brands, snapshot.made_by),
    ):
        if asked:
            others = np.ones(len(price), bool)
            others[found(asked)] = False
            yield why, others
    if wanted.items is not None:
        others = np.ones(len(price), bool)
        others[snapshot.rows_of(wanted.items)] = False
        yield "none of the request's items", others
    if wanted.least_minor is not None:
        yield "cheaper than the filter's prices", price < wanted.least_minor
    if wanted.most_minor is not None:
        yield "dearer than the filter's prices", price > wanted.most_minor


def _told(tiers: Sequence[Tier], pool: Pool, pick: Pick) -> Told:
    ranking, _ = tiers[pool.tiers[pick.at]]
    if ranking.tell is None:
        return Told({ranking.source: float(pool.scores[pick.at])}, {})
    told: Told = ranking.tell(int(pool.items[pick.at]))
    return told


def _result(snapshot: Snapshot, tiers: Sequence[Tier], pool: Pool, pick: Pick) -> Result:
    item = int(pool.items[pick.at])
    ranking, _ = tiers[pool.tiers[pick.at]]
    return Result(
        item_id=snapshot.ids[item],
        score=float(pool.scores[pick.at]),
        source=ranking.source,
        reasons=ranking.explain(item),
        rules=pick.rules,
    )

"""One decision: the ladder of docs/architecture.md over a snapshot, for web answers and exported lists alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np

from contracts.decisions import Degraded, Result
from contracts.policy import PlacementName
from models.decide.facts import REQUEST_NAMES, facts_of
from models.decide.policy import Page, Pick, Pool, arrange, withheld
from models.decide.query import Query, Question, of_session, slots
from models.decide.rankings import (
    CONTEXTUAL,
    FULL,
    POPULAR,
    RUNGS,
    STALE_SESSION,
    USER_EMBEDDING,
    Ranking,
    by_blend,
    by_neighbours,
    by_vector,
    complements,
    contextual,
    popular,
)
from models.decide.reasons import explain_by_neighbours, explain_by_vectors, explain_with
from models.decide.scored import Floats, Ints, Mask, Scored
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot
from models.decide.words import WORDS, known_words, word_buckets

POOL = 300
"""Candidates that the policy may arrange."""
Rows: TypeAlias = Ints | Mask
NO_CANDIDATE = "the champion had no candidate"
NO_CONSENT = "no consent for personalization"
NOTHING_KNOWN = "nothing known of the shopper"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for: items of one of the categories (paths; all below them too), of one of the brands, at such prices.

    Attributes:
        least_minor: minor units, `most_minor` likewise; both are included.
    """

    categories: Sequence[str] = ()
    brands: Sequence[str] = ()
    least_minor: int | None = None
    most_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Shopper:
    """What is known of a shopper at the moment of the decision; lists are newest first, but for `user_items`.

    Attributes:
        session_items: `session_last_items` of a fresh session row.
        carted: `session_last_carted`; these are not recommended.
        user_items: `query.met_before` of the user row.
        searches: `session_last_searches`; `earlier_searches`: `user_last_searches_90d`.
        features: stored and derived features by name, of the rows that may be used, and of the request.
        vector: the stored embedding float32[64] and `vector_model`, the model version that made it.
        consent_granted: whether personalization is granted now.
        muted_items: items and `muted_categories` (paths; all below them too) that the shopper wants to see no more.
            Kept on every rung, where consent is granted.
        session_problem: why the session row cannot be used though there should be one ("session row is
            7200 s old"); its items must then not be given. `user_problem` and `shopper_problem`: the same of the
            user row and of the shopper row.
        failure: a dependency failed and nothing could be read.
        context: items of the request itself, such as the product whose page is open: no stored row of anybody.
        search_term: what the request itself searches for; `interests`: what it was told in a questionnaire, categories and
            brands. See `said`.
        exclude: further items not to recommend; `wanted`: the only ones to.
        orders: what was bought, and `lists` what was shown, newest first, as `named_in` reads it.
        cart: what lies in the cart by the request, beside `carted`.
        campaign: the one that the request says is shown.
    """

    session_items: Sequence[str] = ()
    carted: Sequence[str] = ()
    user_items: Sequence[str] = ()
    searches: Sequence[str] = ()
    earlier_searches: Sequence[str] = ()
    features: Mapping[str, Any] = field(default_factory=dict)
    vector: Floats | None = None
    vector_model: str | None = None
    muted_items: Sequence[str] = ()
    muted_categories: Sequence[str] = ()
    consent_granted: bool = False
    session_problem: str | None = None
    user_problem: str | None = None
    shopper_problem: str | None = None
    failure: str | None = None
    context: Sequence[str] = ()
    search_term: str | None = None
    interests: Sequence[str] = ()
    exclude: Sequence[str] = ()
    wanted: Wanted = Wanted()
    orders: Sequence[str] = ()
    lists: Sequence[str] = ()
    cart: Sequence[str] = ()
    campaign: str | None = None

    def said(self) -> Iterator[tuple[str, str]]:
        """What was said in words and how, as a reason, what counts most first: the request's own words stay out of reasons.

        On an item's page interests say less than the item.
        """
        searched = "close to what you searched for"
        for term in (self.search_term, *self.searches[:1]):
            if term:
                yield term, searched
        if self.interests and not self.context:
            yield " ".join(self.interests), "close to your interests"
        for term in self.earlier_searches[:1]:
            yield term, "close to what you searched for before"

    @property
    def problem(self) -> str | None:
        return self.failure or self.session_problem or self.user_problem or self.shopper_problem


@dataclass(frozen=True, slots=True)
class Decided:
    """The results in order, and the rung of the ladder they stand on."""

    results: list[Result]
    degraded: Degraded


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
        allowed[rows] = False
    level, cause, tiers = _tiers(served, shopper, page, allowed, wanted)
    pool = Pool.of([(found.items, found.scores) for _, found in tiers])
    picks = arrange(page, served.snapshot, pool, shopper.campaign, wanted)
    results = [_result(served.snapshot, tiers, pool, pick) for pick in picks]
    return Decided(results, Degraded(level=level, rung=RUNGS[level], cause=cause))


def kept_back(served: Served, shopper: Shopper, page: Page) -> Iterator[tuple[str, Rows]]:
    """Why and which rows int32, or bool[items], are not shown; an item may be named by several reasons."""
    snapshot, shelf = served.snapshot, served.shelf
    yield "out of stock", ~shelf.in_stock
    yield "in the cart", snapshot.rows_of([*shopper.cart, *shopper.carted])
    yield "excluded by the request", snapshot.rows_of(shopper.exclude)
    if shopper.consent_granted:
        yield "muted", snapshot.rows_of(shopper.muted_items)
        yield "muted category", snapshot.below(shopper.muted_categories)
    yield from _unwanted(served, shopper.wanted)
    yield from withheld(page, snapshot, shopper.orders, shopper.lists)


Tier = tuple[Ranking, Scored]


def _tiers(
    served: Served, shopper: Shopper, page: Page, allowed: Mask, wanted: int
) -> tuple[int, str | None, list[Tier]]:
    """The rung that was stood on and why, and the candidates: complements where they are asked for, the ranking's, and popular ones."""
    snapshot, query = served.snapshot, served.query
    count = max(wanted, POOL) if page.arranges else wanted
    ranking = _rank(snapshot, shopper, query)
    found = ranking.best(allowed, count)
    if not len(found) and ranking.source not in (RUNGS[CONTEXTUAL], RUNGS[POPULAR]):
        ranking = _without_rows(snapshot, shopper, query, NO_CANDIDATE)
        found = ranking.best(allowed, count)
    if not len(found) and ranking.source == RUNGS[CONTEXTUAL]:
        ranking = popular(snapshot, POPULAR, ranking.cause)
        found = ranking.best(allowed, count)
    tiers = [(ranking, found)]
    if page.placement.complements and (beside := complements(snapshot, _cart_of(shopper))) is not None:
        tiers.insert(0, (beside, beside.best(allowed, count)))
    if len(found) < wanted or page.arranges:
        left = allowed.copy()
        left[found.items] = False
        fill = popular(snapshot, ranking.level, ranking.cause)
        tiers.append((fill, fill.best(left, wanted)))
    pinned = [rows[allowed[rows]] for _, rows in page.of("pin")]
    if pinned:
        fill = popular(snapshot, ranking.level, ranking.cause)
        rows = np.array(list(dict.fromkeys(np.concatenate(pinned).tolist())), np.int32)
        tiers.append((fill, Scored(rows, snapshot.popularity[rows])))
    return ranking.level, ranking.cause, tiers


def _cart_of(shopper: Shopper) -> Sequence[str]:
    """What lies in the cart: by the session's row, or as the request says."""
    return list(dict.fromkeys([*shopper.cart, *shopper.carted, *shopper.context]))


def _rank(snapshot: Snapshot, shopper: Shopper, query: Query | None) -> Ranking:
    """The highest rung that can be stood on."""
    if not shopper.consent_granted:
        return _without_rows(snapshot, shopper, query, shopper.failure or NO_CONSENT)
    question, reason = question_of(shopper, snapshot)
    cause = shopper.problem
    if not question.is_empty:
        stale = shopper.session_problem is not None and not of_session(question.kinds).any()
        ranking = _champion(snapshot, question, reason, query)
        if ranking is not None:
            return replace(ranking, level=STALE_SESSION if stale else FULL, cause=cause)
        cause = NO_CANDIDATE if query is None else "the query tower gave no vector"
    if _vector_fits(snapshot, shopper):
        best = by_vector(snapshot, np.asarray(shopper.vector, np.float32))
        explain = explain_with("close to your earlier choices")
        return Ranking(best, RUNGS[USER_EMBEDDING], explain, USER_EMBEDDING, cause or "no row gives a query")
    return _without_rows(snapshot, shopper, query, cause or NOTHING_KNOWN)


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


def _without_rows(snapshot: Snapshot, shopper: Shopper, query: Query | None, cause: str) -> Ranking:
    """What can be said to anybody: similar to the item of the request, else near its words, else popular."""
    similar = contextual(snapshot, shopper.context, cause)
    if similar is not None:
        return similar
    if snapshot.kind != "two_tower":
        return popular(snapshot, POPULAR, cause)
    asked = Shopper(
        search_term=shopper.search_term,
        interests=shopper.interests,
        features={name: shopper.features.get(name) for name in REQUEST_NAMES},
    )
    question, reason = question_of(asked, snapshot)
    near = None if question.is_empty else _champion(snapshot, question, reason, query)
    if near is None:
        return popular(snapshot, POPULAR, cause)
    return replace(near, source=RUNGS[CONTEXTUAL], level=CONTEXTUAL, cause=cause)


def _champion(snapshot: Snapshot, question: Question, reason: str, query: Query | None) -> Ranking | None:
    """The champion's scores for the question; None when it has no answer to it."""
    positions, kinds = question.positions, question.kinds
    known = positions[positions >= 0]
    if snapshot.kind == "item_knn":
        if not len(known):
            return None
        explain = explain_by_neighbours(snapshot, known, kinds)
        return Ranking(by_neighbours(snapshot, known), "item_knn", explain, FULL, None)
    if snapshot.kind == "popularity":
        return popular(snapshot, FULL, None)
    vector = None if query is None else query(question)
    if vector is None or not np.isfinite(vector).all():
        return None
    explain = explain_by_vectors(snapshot, known, kinds) if len(known) else explain_with(reason)
    return Ranking(by_blend(snapshot, question, vector), "two_tower", explain, FULL, None)


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
    if wanted.least_minor is not None:
        yield "cheaper than the filter's prices", price < wanted.least_minor
    if wanted.most_minor is not None:
        yield "dearer than the filter's prices", price > wanted.most_minor


def _result(snapshot: Snapshot, tiers: Sequence[Tier], pool: Pool, pick: Pick) -> Result:
    item = int(pool.items[pick.at])
    ranking, found = tiers[pool.tiers[pick.at]]
    return Result(
        item_id=snapshot.ids[item],
        score=float(found.scores[found.items == item][0]),
        source=ranking.source,
        reasons=ranking.explain(item),
        rules=pick.rules,
    )

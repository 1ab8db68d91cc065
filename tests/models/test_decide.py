"""The ladder, exclusions, stock, fill, reasons: five items on a circle, so every score is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decisions import Degraded
from contracts.features import USER
from contracts.policy import Placement, Policy
from models.decide.blend import Blend
from models.decide.decide import NO_CONSENT, NOTHING_KNOWN, Decided, decide
from models.decide.facts import OF_REQUEST, OF_SESSION, OF_USER
from models.decide.query import (
    CARTED_KIND,
    EMPTY,
    SESSION_KIND,
    USER_KIND,
    USER_SLOTS,
    Question,
    gather,
    met_before,
    slots,
)
from models.decide.ranker import NUMBERS
from models.decide.scored import Scored
from models.decide.sessions import no_sessions
from models.decide.shelf import Served
from models.decide.shopper import Shopper
from models.decide.snapshot import Snapshot
from models.decide.words import WORD_BUCKETS, word_buckets

AT = datetime(2011, 8, 30, tzinfo=UTC)
IDS = ("a", "b", "c", "d", "e")


def word_vectors() -> np.ndarray:
    """The catalog's texts hold these words alone."""
    found = np.zeros((WORD_BUCKETS, 2), np.float32)
    found[[bucket for bucket in word_buckets("tea cup cups acme") if bucket]] = 1
    return found


BLEND = Blend(popular=0.4, fading=0.4, again=2.0, yielding=0.2, together=0.2)
"""The tests' own, whatever serves."""


def snapshot(kind="two_tower") -> Snapshot:
    """Vectors at 0°, 30°, 60°, 90°, 120°: the dot product with a's is 1, .87, .5, 0, -.5. Popular: e d c b a."""
    angles = np.deg2rad([0, 30, 60, 90, 120])
    neighbours = np.full((5, 3), -1, np.int32)
    scores = np.zeros((5, 3), np.float32)
    neighbours[0, :2], scores[0, :2] = (1, 2), (0.5, 0.25)  # a speaks for b and c
    neighbours[3, :1], scores[3, :1] = (2,), (0.75,)  # d for c
    return Snapshot(
        ids=IDS,
        index={item: n for n, item in enumerate(IDS)},
        titles=tuple(f"Mug {item}" for item in IDS),
        categories=(None,) * 5,
        brands=(None,) * 5,
        price_minor=(100,) * 5,
        currency=("GBP",) * 5,
        in_stock=np.ones(5, bool),
        offered_at=np.full(5, 7),
        campaigns=(None,) * 5,
        ships_in_days=np.full(5, -1, np.int32),
        numbers=np.zeros((5, len(NUMBERS)), np.float32),
        vectors=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        word_vectors=word_vectors(),
        popularity=np.array([1, 2, 3, 4, 5], np.float32),
        neighbours=neighbours,
        scores=scores,
        sessions=no_sessions(5),
        kind=kind,
        version="v",
        model_version="m",
        cut_on="2011-08-29",
        blend=BLEND,
    )


def newest(question: Question):
    """A query tower that repeats the newest item's vector; of words alone it says 60°, so c."""
    if (question.positions < 0).all():
        return 3 * snapshot().vectors[2]  # louder than popularity
    return gather(snapshot().vectors, question.positions)[0, 0]


def ids(decided: Decided) -> list[str]:
    return [result.item_id for result in decided.results]


def ask(shopper: Shopper, count: int = 5, at: Snapshot | None = None, query=newest) -> Decided:
    return decide(Served.of(at or snapshot(), query), shopper, "home", count, AT)


def test_slots_hold_known_items_of_session_then_user():
    positions, kinds = slots(["c", "gone", "a"], ["a", "b"], ["b"], snapshot().index)
    assert positions[:4].tolist() == [2, 0, 1, -1]
    assert kinds[:4].tolist() == [SESSION_KIND, CARTED_KIND, USER_KIND, EMPTY]
    assert positions.shape == kinds.shape == (80,)


def test_slots_are_bounded_by_20_and_60():
    _, kinds = slots(["a"] * 25, [], ["b"] * 70, snapshot().index)
    assert (kinds == 1).sum() == 20
    assert (kinds == 2).sum() == 60


def test_what_was_taken_most_often_follows_what_was_newest():
    assert met_before(["c", "a"], ["b", "c"]) == ["c", "a", "b", "c"]
    assert met_before(None, None) == []


def test_the_user_s_slots_hold_all_that_the_features_name():
    of = {feature.name: feature.aggregate for feature in USER.features}
    assert of["user_last_items"].k + of["user_top_items_90d"].k == USER_SLOTS


def test_gather_gives_zeros_where_a_slot_is_empty():
    positions, _ = slots(["b"], [], [], snapshot().index)
    gathered = gather(snapshot().vectors, positions)
    assert gathered.shape == (1, 80, 2)
    assert gathered[0, 0].tolist() == snapshot().vectors[1].tolist()
    assert not gathered[0, 1:].any()


def test_full_rung_ranks_by_the_query_and_leaves_the_cart_out():
    decided = ask(Shopper(session_items=["a"], carted=["a"], consent_granted=True))
    assert ids(decided) == ["b", "c", "d", "e"]
    assert decided.degraded.level == 0
    # b is 30° from the query and the neighbour that a speaks for most.
    popular = BLEND.popular / 2**BLEND.fading * snapshot().logarithmic[1]
    assert decided.results[0].score == pytest.approx(np.cos(np.deg2rad(30)) + popular + BLEND.together)
    assert decided.results[0].reasons == ["because you added Mug a"]
    assert {result.source for result in decided.results} == {"two_tower"}


def test_reasons_name_the_nearest_item_and_how_it_is_known():
    decided = ask(Shopper(session_items=["a"], user_items=["e"], exclude=["a", "e"], consent_granted=True))
    by_item = {result.item_id: result.reasons for result in decided.results}
    assert by_item == {
        "b": ["because you looked at Mug a"],
        "c": ["because you looked at Mug a"],  # 60° from both: the newer one
        "d": ["because you chose Mug e before"],
    }
    [again] = [r for r in ask(Shopper(session_items=["a"], consent_granted=True)).results if r.item_id == "a"]
    assert again.reasons == ["because you looked at it"]


def test_only_what_is_in_stock_and_not_excluded():
    stock = np.array([True, False, True, True, True])
    decided = ask(
        Shopper(session_items=["a"], exclude=["d", "unknown"], consent_granted=True),
        at=replace(snapshot(), in_stock=stock),
    )
    assert ids(decided) == ["a", "c", "e"]


@pytest.mark.parametrize(
    ("shopper", "level", "cause", "first"),
    [
        (Shopper(session_items=["a"], consent_granted=True), 0, None, "a"),
        (Shopper(user_items=["b"], consent_granted=True), 0, None, "b"),
        (Shopper(user_items=["b"], session_problem="old", consent_granted=True), 1, "old", "b"),
        (
            Shopper(vector=np.array([1, 0]), vector_model="m", user_problem="gone", consent_granted=True),
            2,
            "gone",
            "a",
        ),
        # Two-tower, and of "d" the table of neighbours says c; of "c" it says nothing, its vector b and d: 30°.
        (Shopper(context=["d"], consent_granted=True), 3, NOTHING_KNOWN, "c"),
        (Shopper(context=["gone", "c"], consent_granted=True, user_problem="old"), 3, "old", "b"),
        (Shopper(context=["d"], session_items=["a"], consent_granted=False), 3, NO_CONSENT, "c"),
        (Shopper(context=["d"], failure="redis"), 3, "redis", "c"),
        (Shopper(context=["d"], session_items=["a"], consent_granted=True), 0, None, "a"),
        (Shopper(vector=np.array([1, 0]), vector_model="other", consent_granted=True), 5, NOTHING_KNOWN, "e"),
        (Shopper(consent_granted=True), 5, NOTHING_KNOWN, "e"),
        (Shopper(consent_granted=True, context=["gone"]), 5, NOTHING_KNOWN, "e"),
        (Shopper(consent_granted=True, failure="redis"), 5, "redis", "e"),
        (Shopper(consent_granted=True, shopper_problem="unreadable"), 5, "unreadable", "e"),
        (Shopper(session_items=["a"], consent_granted=False), 5, NO_CONSENT, "e"),
    ],
)
def test_each_rung(shopper, level, cause, first):
    decided = ask(shopper)
    assert (decided.degraded.level, decided.degraded.cause, ids(decided)[0]) == (level, cause, first)


@pytest.mark.parametrize("query", [None, lambda _asked: np.array([np.nan, 0], np.float32)])
def test_without_a_query_the_stored_vector_then_popular(query):
    shopper = Shopper(session_items=["a"], vector=np.array([0, 1]), vector_model="m", consent_granted=True)
    assert ids(ask(shopper, query=query))[0] == "d"
    assert ask(shopper, query=query).degraded.level == 2
    assert ask(replace(shopper, vector=None, context=["a"]), query=query).degraded.level == 3
    assert ask(replace(shopper, vector=None), query=query).degraded.level == 5


def test_knn_sums_neighbours_by_recency_and_fills_from_popular():
    # b: .5; c: .25 + .75 / 2 = .625; nothing speaks for a, d, e: popular, of which a and d lie in the cart.
    shopper = Shopper(session_items=["a", "d"], carted=["a", "d"], consent_granted=True)
    decided = ask(shopper, at=snapshot("item_knn"), query=None)
    assert ids(decided) == ["c", "b", "e"]
    assert [result.score for result in decided.results[:2]] == pytest.approx([0.625, 0.5])
    assert [result.source for result in decided.results] == ["item_knn", "item_knn", "popular"]
    assert decided.results[0].reasons == ["because you added Mug d"]  # .375 of .625
    assert decided.degraded.level == 0


def test_knn_without_neighbours_is_popular_and_says_so():
    decided = ask(Shopper(session_items=["e"], consent_granted=True), at=snapshot("item_knn"), query=None)
    assert (decided.degraded.level, decided.degraded.cause) == (5, "the champion had no candidate")
    assert ids(decided) == ["e", "d", "c", "b", "a"]


def test_knn_without_neighbours_turns_to_the_item_of_the_request():
    shopper = Shopper(session_items=["e"], context=["d"], exclude=["d"], consent_granted=True)
    decided = ask(shopper, at=snapshot("item_knn"), query=None)
    assert (decided.degraded.level, decided.degraded.cause) == (3, "the champion had no candidate")
    assert ids(decided) == ["c", "e", "b", "a"]


def test_contextual_says_what_it_is_similar_to_and_is_filled_from_popular():
    # a speaks for b .5 and c .25; then popular, and "a" itself is no candidate of its own.
    decided = ask(Shopper(context=["a"], exclude=["a"]))
    assert ids(decided) == ["b", "c", "e", "d"]
    assert [(r.source, r.reasons) for r in decided.results] == [
        ("contextual", ["similar to Mug a"]),
        ("contextual", ["similar to Mug a"]),
        ("popular", ["popular"]),
        ("popular", ["popular"]),
    ]
    assert decided.degraded == Degraded(level=3, rung="contextual", cause=NO_CONSENT)


def test_contextual_without_a_candidate_in_stock_is_popular():
    none_left = replace(snapshot(), in_stock=np.array([True, False, False, True, True]))
    decided = ask(Shopper(context=["a"], exclude=["a"]), at=none_left)
    assert (ids(decided), decided.degraded.rung) == (["e", "d"], "popular")
    nothing_known = replace(snapshot(), vectors=np.empty((0, 64), np.float32))
    assert ask(Shopper(context=["e"]), at=nothing_known).degraded.rung == "popular"


def test_the_placement_bounds_the_count():
    two = Policy(placements={"home": Placement(default_count=1, max_count=2)})
    served = Served.of(snapshot(), None, two)
    assert len(decide(served, Shopper(), "home", 5, AT).results) == 2
    assert len(decide(served, Shopper(), "email", 5, AT).results) == 5
    assert decide(served, Shopper(), "home", 0, AT).results == []


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, -np.inf]), max_size=30), st.integers(0, 40))
def test_top_is_the_stable_sort_of_the_finite_scores(values, count):
    scores = np.array(values, np.float32)
    stable = sorted((n for n, value in enumerate(values) if np.isfinite(value)), key=lambda n: -values[n])
    found = Scored(np.arange(len(scores), dtype=np.int32), scores).best(count)
    assert found.items.tolist() == stable[:count]


@given(st.lists(st.sampled_from(IDS), max_size=6), st.lists(st.sampled_from(IDS), max_size=6), st.booleans())
def test_decisions_repeat_and_never_break_a_rule(session, carted, consent):
    shopper = Shopper(session_items=session, carted=carted, consent_granted=consent)
    decided = ask(shopper, 3)
    assert decided == ask(shopper, 3)
    assert len(decided.results) == min(3, 5 - len(set(carted)))
    assert not set(ids(decided)) & set(carted)
    assert len(set(ids(decided))) == len(decided.results)


@pytest.mark.parametrize(
    ("shopper", "level", "reason"),
    [
        (Shopper(searches=["tea"], consent_granted=True), 0, "close to what you searched for"),
        (
            Shopper(search_term="cup", searches=["tea"], consent_granted=True),
            0,
            "close to what you searched for",
        ),
        (Shopper(interests=["home > cups", "Acme"], consent_granted=True), 0, "close to your interests"),
        (
            Shopper(searches=["tea"], interests=["cups"], consent_granted=True),
            0,
            "close to what you searched for",
        ),
        # Without consent the request's own words count, stored ones do not.
        (Shopper(search_term="cup", searches=["tea"]), 3, "close to what you searched for"),
        (Shopper(search_term="cup", failure="redis"), 3, "close to what you searched for"),
        (Shopper(searches=["tea"]), 5, "popular"),
        (Shopper(search_term="!?"), 5, "popular"),
        (Shopper(search_term="xylophone"), 5, "popular"),
        (
            Shopper(search_term="xylophone", searches=["tea"], consent_granted=True),
            0,
            "close to what you searched for",
        ),
        (Shopper(search_term="!?", interests=["Acme"]), 3, "close to your interests"),
        (
            Shopper(interests=["cups"], earlier_searches=["tea"], consent_granted=True),
            0,
            "close to your interests",
        ),
        (Shopper(earlier_searches=["tea"], consent_granted=True), 0, "close to what you searched for before"),
    ],
)
def test_words_answer_where_no_item_is_known(shopper, level, reason):
    decided = ask(shopper)
    assert decided.degraded.level == level
    assert {reason} == {why for result in decided.results for why in result.reasons}
    assert ids(decided)[0] == ("e" if level == 5 else "c")


def test_on_an_items_page_interests_say_less_than_the_item_and_a_search_more():
    page = {"context": ["d"], "consent_granted": True}
    assert ask(Shopper(interests=["cups"], **page)).results[0].reasons == ["similar to Mug d"]
    assert ask(Shopper(search_term="cups", **page)).results[0].reasons == ["close to what you searched for"]


@pytest.mark.parametrize("kind", ["item_knn", "popularity"])
@pytest.mark.parametrize("granted", [False, True])
def test_of_words_a_champion_without_a_text_encoder_knows_nothing(kind, granted):
    plain = replace(snapshot(kind), word_vectors=np.zeros((0, 2), np.float32))
    decided = ask(Shopper(search_term="cup", consent_granted=granted), at=plain, query=None)
    assert (decided.degraded.level, decided.results[0].source) == (5, "popular")


def test_without_consent_the_query_sees_the_requests_facts_alone():
    seen: list[Question] = []

    def query(question: Question):
        seen.append(question)
        return newest(question)

    features = {"request_hour": 6, "user_carts_90d": 5, "session_events": 3}
    for granted in (False, True):
        ask(Shopper(search_term="cup", features=features, consent_granted=granted), query=query)
    anybody, somebody = (question.facts for question in seen)
    assert anybody[OF_REQUEST].tolist() == somebody[OF_REQUEST].tolist()
    assert anybody[0] == pytest.approx(1)  # 06:00 is a quarter of the day
    assert not anybody[OF_REQUEST.stop :].any()
    assert somebody[OF_SESSION].any()
    assert somebody[OF_USER].any()

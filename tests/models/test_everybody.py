"""What is shown to whom nothing is known of: by country, by what is taken this hour; and how new items come into an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from contracts.features import ITEM_TRENDS
from models.decide.cohorts import BELIEF, LEAST_ALIKE, Cohorts
from models.decide.decide import NO_CONSENT, decide
from models.decide.ranker import AGE, FEATURES, NEW, NUMBERS, Ordered
from models.decide.scored import Scored
from models.decide.shelf import Served
from models.decide.shopper import Shopper
from models.decide.snapshot import Snapshot
from models.decide.trends import LEAST, trending
from tests.models.test_decide import ids, newest, snapshot

AT = datetime(2011, 8, 30, tzinfo=UTC)
FRENCH = Shopper(features={"request_country": "France"})


def at_home(served: Served, shopper: Shopper, count: int = 5):
    return decide(served, shopper, "home", count, AT)


def with_france(counts: list[float]) -> Snapshot:
    """Popular in the whole shop: e d c b a, 5 to 1 of 15."""
    shop = snapshot()
    taken = [np.array(counts, np.float32)]
    return replace(shop, cohorts=Cohorts.of(["France"], taken, shop.popularity))


def test_a_country_of_few_is_near_to_the_whole_shop_and_one_of_many_to_itself():
    few, many, alike = (
        with_france([n, 0, 0, 0, 0]).cohorts.items[0].tolist() for n in (3, 5 * BELIEF, LEAST_ALIKE - 1)
    )
    assert few == alike == [4, 3, 2, 1, 0]
    assert many == [0, 4, 3, 2, 1]
    # (BELIEF + BELIEF · 1/15) / (2 BELIEF) of a, of what the shop would take of it: log(1 + 15 · .533) / log 6.
    half = with_france([BELIEF, 0, 0, 0, 0]).cohorts
    assert half.scores[0, 0] == pytest.approx(np.log(1 + 15 * 16 / 30) / np.log(6))


def test_the_cohort_s_list_is_a_rung_and_is_filled_by_what_is_popular():
    served = Served.of(with_france([5 * BELIEF, 0, 0, 0, 0]), newest)
    decided = at_home(served, FRENCH)
    assert (ids(decided), decided.degraded.level, decided.degraded.cause) == (
        ["a", "e", "d", "c", "b"],
        4,
        NO_CONSENT,
    )
    assert (decided.results[0].source, decided.results[0].reasons) == ("cohort", ["popular in France"])
    assert at_home(served, Shopper(features={"request_country": "Norway"})).degraded.rung == "popular"
    short = replace(
        served.snapshot, cohorts=Cohorts(["France"], np.array([[1]], np.int32), np.ones((1, 1), np.float32))
    )
    filled = at_home(Served.of(short, newest), FRENCH)
    assert ([one.source for one in filled.results], ids(filled)) == (
        ["cohort"] + ["popular"] * 4,
        ["b", "e", "d", "c", "a"],
    )


def test_a_rush_is_what_goes_five_beyond_the_usual_busy_hour():
    index, seldom = {"a": 0, "b": 1, "c": 2}, np.zeros(3, np.float32)
    found = trending({"c": 9, "gone": 50, "a": 99, "b": 4}, index, seldom)
    assert found.items.tolist() == [0, 2]
    assert found.scores == pytest.approx([1, 0.5])
    assert len(trending({"a": 4}, index, seldom)) == 0
    # 14,400 of a in 30 days are 20 an hour and 80 in a busy one: 99 are 19 beyond, and 84 are none.
    often = np.array([14_400, 0, 0], np.float32)
    assert trending({"c": 9, "a": 99}, index, often).scores == pytest.approx([1, np.log(10) / np.log(20)])
    assert trending({"c": 9, "a": 84}, index, often).items.tolist() == [2]


def test_a_cohort_keeps_its_items_in_another_catalog_and_loses_those_that_are_gone():
    moved = with_france([5 * BELIEF, 0, 0, 0, 0]).cohorts.moved(np.array([7, 3, -1, 1, 0], np.int32))
    listed = moved.named("France")
    assert listed is not None
    assert listed.items.tolist() == [7, 0, 1, 3]


def rushed(shop: Snapshot, item: int) -> Served:
    served = Served.of(shop, newest)
    served.shelf.trending = Scored(np.array([item], np.int32), np.ones(1, np.float32))
    return served


def test_what_is_taken_this_hour_counts_as_a_tenth_of_what_is_most_popular():
    # By log(1 + count) / log 6: e 1, d .898, c .774, b .613, a .387. A tenth lifts d to .998 and c to .874, of whom none passes e or d.
    assert ids(at_home(rushed(snapshot(), 2), Shopper())) == ["e", "d", "c", "b", "a"]
    close = replace(snapshot(), popularity=np.array([1, 2, 3, 4.5, 5], np.float32))  # d .951
    decided = at_home(rushed(close, 3), Shopper())
    assert ids(decided) == ["d", "e", "c", "b", "a"]
    assert [one.reasons for one in decided.results[:2]] == [["trending"], ["popular"]]


def test_of_a_known_shopper_it_fades_as_popularity_does_and_stands_among_the_parts():
    known = Shopper(session_items=["a"], consent_granted=True)
    decided = at_home(rushed(snapshot(), 3), known)
    parts = {one.item_id: tell().parts for one, tell in zip(decided.results, decided.told, strict=True)}
    # The tests' blend: popular .4 / (1 + 1) ^ .4.
    assert parts["d"]["trending"] == pytest.approx(0.1 * 0.4 / 2**0.4)
    assert parts["e"]["trending"] == 0


def test_new_items_that_are_near_are_put_in_order_by_the_ranker_whatever_they_lack():
    """1,000 known items are nearer and more popular than the one that came yesterday."""
    chance = np.random.default_rng(2)
    count = 1001
    vectors = np.zeros((count, 2), np.float32)
    angles = chance.uniform(0, 0.5, count)
    angles[-1] = 1.0
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    numbers = np.zeros((count, len(NUMBERS)), np.float32)
    numbers[:, AGE] = np.log1p(400)
    numbers[-1, AGE] = np.log1p(1)
    names = tuple(f"i{n:04}" for n in range(count))
    shop = replace(
        snapshot(),
        ids=names,
        index={name: n for n, name in enumerate(names)},
        titles=names,
        categories=(None,) * count,
        brands=(None,) * count,
        price_minor=(100,) * count,
        currency=("GBP",) * count,
        in_stock=np.ones(count, bool),
        offered_at=np.zeros(count, np.int64),
        campaigns=(None,) * count,
        ships_in_days=np.full(count, -1, np.int32),
        numbers=numbers,
        vectors=vectors,
        popularity=np.append(np.full(count - 1, 50), 0).astype(np.float32),
        neighbours=np.full((count, 1), -1, np.int32),
        scores=np.zeros((count, 1), np.float32),
    )
    assert shop.new.tolist() == [count - 1]
    assert len(replace(shop, numbers=np.zeros_like(numbers)).new) == NEW

    def by_age(question, candidates, said):
        read = np.zeros((len(candidates), len(FEATURES)), np.float32)
        return Ordered(-shop.numbers[candidates, AGE], read)

    def toward_0(question):
        return np.array([1, 0], np.float32)

    served = replace(Served.of(shop, toward_0), rank=by_age)
    known = Shopper(session_items=["i0000"], consent_granted=True)
    assert ids(at_home(served, known, 3))[0] == names[-1]
    without = replace(served, rank=None)
    assert names[-1] not in ids(at_home(without, known, 24))


def test_what_could_be_a_rush_has_events_enough_for_a_row_of_its_window():
    assert max(view.least_events for view in ITEM_TRENDS) <= LEAST

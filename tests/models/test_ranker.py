"""The ranker: what it reads in hand-worked values, one order in serving and in measuring, and a model that earns its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from contracts.settings import Settings
from models.baselines.item_knn import Knn
from models.catalog import UNSEEN_DAYS, item_numbers, read_catalog_at
from models.decide.artifacts import items_of, open_served, write_snapshot
from models.decide.blend import Blend, logarithmic
from models.decide.facts import FACTS, OF_USER, USER_AMOUNTS
from models.decide.query import CARTED_KIND, SESSION_KIND, SLOTS, USER_KIND, Question
from models.decide.ranker import AGE, COUNTED, FEATURES, NUMBERS, PRIOR, Items, features, ranked_by
from models.decide.rankings import by_blend
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot
from models.examples import Examples, read_examples, split
from models.files import RANKER
from models.ranker import PARAMS, fit_ranker, learned_ranker, read_earlier, week_of
from models.registry import Champion
from models.served import Around, Pipeline
from models.train import Fit
from models.training import How, fitted_towers, kept_ranker, known_earlier, pipeline_of, two_tower
from tests.models.conftest import CUT, write_lake
from tests.models.test_near import shop  # noqa: F401 (a fixture)

AT = datetime(2011, 9, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Listed:
    price_minor: Sequence[int]
    ships_in_days: np.ndarray
    numbers: np.ndarray
    categories: Sequence[str | None]
    brands: Sequence[str | None]


def question(*slots: tuple[int, int], usual: float = 0.0) -> Question:
    """Slots of (row, kind), and the user's price level as `facts` has it."""
    positions, kinds = np.full(SLOTS, -1, np.int32), np.zeros(SLOTS, np.int32)
    for at, (row, kind) in enumerate(slots):
        positions[at], kinds[at] = row, kind
    facts = np.zeros(FACTS, np.float32)
    facts[OF_USER][1 + USER_AMOUNTS.index("user_price_level_minor")] = usual
    return Question(positions, kinds, np.zeros(16, np.int32), facts)


def test_what_is_read_of_a_candidate():
    numbers = np.arange(3 * len(NUMBERS)).reshape(3, -1).astype(np.float32)
    paths = ("home > mugs", "home > plates", None)
    listed = Listed((99, 99, 399), np.array([-1, 2, 3]), numbers, paths, ("a", "a", None))
    items = Items.of(listed, np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32))
    asked = question((0, CARTED_KIND), (2, USER_KIND), (0, USER_KIND), usual=1.0)
    said = {"similar": np.array([0.5, 0.25], np.float32), "again": np.array([0.0, 1.0], np.float32)}
    found = features(items, asked, np.array([1, 0], np.int32), said)
    assert found.shape == (2, len(FEATURES))
    assert len(FEATURES) >= 40
    read = {name: found[:, at].tolist() for at, name in enumerate(FEATURES)}
    paid = np.log(100) / 4 * (1 + 1 / 3) / (11 / 6) + np.log(400) / 4 * (1 / 2) / (11 / 6)
    expected = {
        "similar": [0.5, 0.25],
        "voted": [0, 0],
        "blend": [0.5, 1.25],
        "behind_first": [-0.75, 0],
        "place": [0, np.log(2)],
        "slots": [3, 3],
        "session_slots": [1, 1],
        "times": [0, 2],
        "nearness": [0, 1 + 1 / 3],
        "in_session": [0, 1],
        "like_newest": [0.6, 1],
        "like_most": [0.8, 1],
        "like_mean": [0.6 * 8 / 11 + 0.8 * 3 / 11, 8 / 11],
        "same_category": [0, 8 / 11],
        "same_department": [8 / 11, 8 / 11],
        "same_brand": [8 / 11, 8 / 11],
        "price": [np.log(100) / 4] * 2,
        "dearer_than_slots": [np.log(100) / 4 - paid] * 2,
        "dearer_than_user": [np.log(100) / 4 - 1] * 2,
        "ships_in_days": [2, -1],
        COUNTED[0]: [len(NUMBERS), 0],
        "item_age_days": [2 * len(NUMBERS) - 1, len(NUMBERS) - 1],
    }
    for name, values in expected.items():
        assert read[name] == pytest.approx(values, abs=1e-5), name


def test_of_nobody_nothing_is_read():
    listed = Listed((1, 2), np.zeros(2), np.zeros((2, len(NUMBERS)), np.float32), ("x", "y"), (None, None))
    items = Items.of(listed, np.eye(2, dtype=np.float32))
    found = features(items, question(), np.array([1], np.int32), {"popular": np.ones(1, np.float32)})
    assert np.isfinite(found).all()
    assert found[0, FEATURES.index("dearer_than_slots")] == 0


def test_numbers_are_logarithms_and_days():
    day = 86_400_000_000
    end = int(datetime(2011, 9, 2, tzinfo=UTC).timestamp() * 1e6)
    columns = {**{name: [0, None] for name in COUNTED}, "item_first_seen_at": [end - 3 * day, None]}
    found = item_numbers({**columns, "item_carts_30d": [7, None]}, date(2011, 9, 1))
    assert found[0, NUMBERS.index("item_carts_30d")] == pytest.approx(np.log(8))
    assert found[0, NUMBERS.index("item_age_days")] == pytest.approx(np.log(4))
    assert found[1, AGE] == pytest.approx(np.log(1 + UNSEEN_DAYS))
    assert not np.delete(found[1], AGE).any()


def trees(seed: int = 0) -> lightgbm.Booster:
    """A ranker that prefers what the blend puts behind the twentieth place."""
    chance = np.random.default_rng(seed)
    given = 6 * chance.random((2000, len(FEATURES)), np.float32)
    gains = (given[:, FEATURES.index("place")] > np.log(20)).astype(np.int32)
    data = lightgbm.Dataset(given, gains, group=[100] * 20, feature_name=list(FEATURES))
    return lightgbm.train({**PARAMS, "learning_rate": 5.0, "seed": seed}, data, 10)


def test_what_serves_is_in_the_order_that_is_measured(shop: Snapshot):  # noqa: F811
    rank = ranked_by(trees(), items_of(shop))
    around = Around(Knn(shop.neighbours, shop.scores), shop.sessions, logarithmic(shop.popularity))
    vector = 2 * shop.vectors[11]
    asked = question(*((row, SESSION_KIND) for row in range(5)))
    pipeline = Pipeline(lambda _: vector[None], shop.vectors, around, shop.blend, rank, shop.new)
    # The item that would stand first lies in the cart: no candidate, for either.
    allowed = np.ones(len(shop.ids), bool)
    allowed[11] = False
    [whole] = pipeline.score(_one(asked, carted=11))
    best = np.argsort(np.where(allowed, -whole, np.inf), kind="stable")
    serving = replace(Served.of(shop, None), rank=rank)
    served, tell = by_blend(serving, asked, vector)
    found = served(allowed, 100)
    assert found.items[:20].tolist() == best[:20].tolist()
    told = tell(int(found.items[3]))
    assert sum(told.parts.values()) == pytest.approx(float(found.scores[3]), abs=1e-4)
    assert told.features["session_slots"] == 5
    assert told.features["blend"] * PRIOR == pytest.approx(
        sum(told.parts.values()) - told.parts["ranker"], abs=1e-4
    )
    plain = by_blend(Served.of(shop, None), asked, vector)[0](allowed, 100)
    assert not np.isin(found.items[:20], plain.items[:19]).any()


def _one(asked: Question, carted: int) -> Examples:
    none = np.zeros(1, np.int32)
    cart = np.full((1, 50), -1, np.int32)
    cart[0, 0] = carted
    return Examples(
        asked.positions[None],
        asked.kinds[None],
        asked.words[None],
        asked.facts[None],
        none,
        cart,
        none,
        none,
        np.zeros(1, "datetime64[D]"),
    )


def test_a_ranker_is_published_with_its_snapshot_and_one_of_other_features_is_refused(
    tmp_path: Path,
    shop: Snapshot,  # noqa: F811
):
    from infra.bench.scorer.catalog import query_tower

    small = replace(shop, blend=Blend(0.5, 1.0, 1.15, 1.0, 0.12))
    ours = trees().model_to_string().encode()
    version = write_snapshot(tmp_path, small, query_tower(0), AT, ours)
    assert open_served(tmp_path / version).rank is not None
    assert open_served(tmp_path / write_snapshot(tmp_path, small, query_tower(0), AT)).rank is None
    other = ours.replace(b"feature_names=similar", b"feature_names=similarity")
    with pytest.raises(ValueError, match="other features"):
        open_served(tmp_path / write_snapshot(tmp_path, small, query_tower(0), AT, other))


def test_a_full_training_learns_one_and_a_warm_start_keeps_it(tmp_path: Path):
    settings, how = Settings(var=tmp_path), How(Fit(epochs=8))
    last = CUT - timedelta(days=7)
    write_lake(settings, CUT, 30, 30, (last, last - timedelta(days=7)))
    catalog = read_catalog_at(settings, CUT)
    train, _ = split(read_examples(settings, catalog.index, CUT), CUT, 7)
    week, earlier = week_of(train, last), read_earlier(settings, catalog, last)
    assert len(week.before) + len(week.learned) + len(week.checked) == len(train)
    assert week.before.days.max() < week.learned.days.min() < week.checked.days.min()
    model, _ = fitted_towers(catalog, week.before, how.fit)
    pipeline = pipeline_of(model, week.before)
    learned = fit_ranker(pipeline, earlier.before, week, seed=0)
    assert learned.trees is not None, learned.said
    assert fit_ranker(pipeline, earlier.before, week, seed=0).trees == learned.trees
    candidate, _ = two_tower(catalog, train, Fit(epochs=1), ranker=(learned.trees, earlier.at_last))
    assert candidate.files[RANKER] == learned.trees
    (tmp_path / RANKER).write_bytes(learned.trees)
    champion = Champion("two_tower", "two_tower-1", {"two_tower": tmp_path}, None)
    assert kept_ranker(champion).trees == learned.trees
    few = learned_ranker(week.learned, earlier, lambda _: pipeline, 0)
    assert few.trees is None
    assert "a time split needs both" in few.said
    # A lake that knows nothing of the items before the week teaches no ranker, and says so.
    write_lake(settings, CUT, 30, 30)
    assert known_earlier(settings, catalog, last) == (
        "gold_item_features has no row of cut 2011-03-24: run the job 'gold' of that cut"
    )

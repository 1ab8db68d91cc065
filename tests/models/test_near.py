"""The scan finds what a full ranking finds, whatever the filter leaves, and an answer is the blend of all items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.baselines.item_knn import Knn
from models.decide.blend import Blend, logarithmic
from models.decide.near import Near, read_index
from models.decide.query import SESSION_KIND, SLOTS, USER_KIND, Question
from models.decide.ranker import NUMBERS
from models.decide.rankings import RETRIEVED, by_blend, popular
from models.decide.sessions import session_index
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot
from models.served import Around, blend_rows

ITEMS, DIM = 20_000, 64
BLEND = Blend(popular=0.7, fading=0.5, again=0.4, yielding=1.0, together=0.3, voted=0.2, shown=0.5)


@pytest.fixture(scope="module")
def shop() -> Snapshot:
    chance = np.random.default_rng(7)
    vectors = chance.normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = tuple(f"i{n:05}" for n in range(ITEMS))
    return Snapshot(
        ids=ids,
        index={item: row for row, item in enumerate(ids)},
        titles=ids,
        categories=(None,) * ITEMS,
        brands=(None,) * ITEMS,
        price_minor=(100,) * ITEMS,
        currency=("GBP",) * ITEMS,
        in_stock=np.ones(ITEMS, bool),
        offered_at=np.zeros(ITEMS, np.int64),
        campaigns=(None,) * ITEMS,
        ships_in_days=np.full(ITEMS, -1, np.int32),
        numbers=np.zeros((ITEMS, len(NUMBERS)), np.float32),
        vectors=vectors,
        word_vectors=np.zeros((0, DIM), np.float32),
        popularity=np.floor(chance.pareto(1.0, ITEMS)).astype(np.float32),
        neighbours=chance.integers(-1, ITEMS, (ITEMS, 50)).astype(np.int32),
        scores=chance.random((ITEMS, 50)).astype(np.float32),
        sessions=session_index(
            np.repeat(np.arange(20_000, dtype=np.int32), 5),
            chance.integers(0, ITEMS, 100_000).astype(np.int32),
            ITEMS,
        ),
        kind="two_tower",
        version="v",
        model_version="m",
        cut_on="2011-08-29",
        blend=BLEND,
    )


def passing(share: float) -> np.ndarray:
    return np.random.default_rng(1).random(ITEMS) < share


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.01, 0.0])
def test_a_filter_leaves_as_many_as_pass_it(shop: Snapshot, share: float):
    allowed = passing(share)
    query = shop.vectors[3]
    found = shop.nearest().best(query, 0.7, allowed, RETRIEVED)
    assert len(found) == len(set(found.tolist())) == min(RETRIEVED, allowed.sum())
    assert allowed[found].all()
    scores = np.where(allowed, shop.vectors @ query + 0.7 * shop.logarithmic, -np.inf)
    best = np.argsort(-scores, kind="stable")[: len(found)]
    # Halves may turn around who is last.
    assert len(np.intersect1d(found, best)) >= 0.99 * len(found)


@pytest.mark.parametrize("keep", ["all", "a tenth", "what is far", "what is near", "two"])
def test_lists_find_what_a_scan_finds_wherever_the_filter_leaves_items(keep: str, tmp_path: Path):
    chance = np.random.default_rng(5)
    kinds = chance.normal(size=(200, DIM))
    vectors = (kinds[chance.integers(0, 200, ITEMS)] + 0.5 * chance.normal(size=(ITEMS, DIM))).astype(
        np.float32
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    popularity = chance.random(ITEMS).astype(np.float32)
    made = Near(vectors, popularity, scanned=0)
    path = tmp_path / "near.faiss"
    path.write_bytes(made.stored())
    lists = Near(vectors, popularity, index=read_index(str(path)))
    recall = []
    for item in range(20):
        query = vectors[item]
        order = np.argsort(vectors @ query)
        allowed = {
            "all": np.ones(ITEMS, bool),
            "a tenth": passing(0.1),
            "what is far": np.isin(np.arange(ITEMS), order[:5000]),
            "what is near": np.isin(np.arange(ITEMS), order[-5000:]),
            "two": np.isin(np.arange(ITEMS), order[:2]),
        }[keep]
        found = lists.best(query, 0.1, allowed, 50)
        assert len(set(found.tolist())) == len(found) == min(50, allowed.sum())
        assert allowed[found].all()
        scores = np.where(allowed, vectors @ query + np.float32(0.1) * popularity, -np.inf)
        recall.append(np.isin(found, np.argsort(-scores)[: len(found)]).mean())
    assert np.mean(recall) >= 0.9


def test_a_catalog_smaller_than_what_is_asked_for_is_found_whole():
    vectors = np.eye(3, 5, dtype=np.float32)
    near = Near(vectors, np.zeros(3, np.float32))
    assert near.best(np.array([0.1, 0.3, 0.2, 0, 0], np.float32), 1.0, np.ones(3, bool), 500).tolist() == [
        1,
        2,
        0,
    ]
    assert near.best(vectors[0], 1.0, np.array([False, False, True]), 500).tolist() == [2]
    nothing = Near(np.zeros((0, 64), np.float32), np.zeros(0, np.float32))
    assert nothing.best(np.zeros(64, np.float32), 1.0, np.zeros(0, bool), 500).tolist() == []


@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
def test_an_answer_is_the_blend_of_all_items(shop: Snapshot, share: float):
    chance = np.random.default_rng(3)
    allowed = passing(share)
    around = Around(Knn(shop.neighbours, shop.scores), shop.sessions, logarithmic(shop.popularity))
    for filled in (0, 1, 5, 80):
        positions, kinds = np.full(SLOTS, -1, np.int32), np.zeros(SLOTS, np.int32)
        positions[:filled] = chance.integers(0, ITEMS, filled)
        kinds[:filled] = np.where(np.arange(filled) < 20, SESSION_KIND, USER_KIND)
        vector = 2 * shop.vectors[11]
        question = Question(positions, kinds, np.zeros(16, np.int32), np.zeros(0, np.float32))
        found = by_blend(Served.of(shop, None), question, vector)[0](allowed, 100)
        [whole] = blend_rows((shop.vectors @ vector)[None], positions[None], kinds[None], around, BLEND)
        whole = np.where(allowed, whole, -np.inf)
        best = np.argsort(-whole, kind="stable")[:100]
        assert found.scores == pytest.approx(whole[best], abs=1e-5)
        assert np.intersect1d(found.items, best).size >= 99  # sums in another order may turn equals around


def test_what_is_popular_is_found_behind_whatever_is_filtered_out(shop: Snapshot):
    allowed = np.ones(ITEMS, bool)
    allowed[shop.by_popularity[:9000]] = False
    served = Served.of(shop, None)
    found = popular(served, 0, None).best(allowed, 50)
    assert found.items.tolist() == shop.by_popularity[9000:9050].tolist()
    assert len(popular(served, 0, None).best(np.zeros(ITEMS, bool), 50)) == 0

"""The bench of retrieval on few vectors: its truth, its grown catalog, and what it calls broken."""

from __future__ import annotations

import numpy as np
import pytest

from models.bench.retrieval import BY_CHANCE, COUNT, KINDS, Plan, broken, compared, filtered, truth
from models.bench.vectors import Vectors, grown

PLAN = Plan(items=(3000,), queries=5, methods=("ours", "exact", "hnsw", "usearch"))


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    chance = np.random.default_rng(0)
    items, queries = (chance.normal(size=(n, 64)).astype(np.float32) for n in (2000, 5))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    return Vectors(items, chance.random(2000).astype(np.float32), queries)


def test_a_catalog_grows_by_items_between_near_ones(vectors: Vectors):
    more = grown(vectors, 3000)
    assert more.items.shape == (3000, 64)
    assert more.popularity.shape == (3000,)
    assert (more.items[:2000] == vectors.items).all()
    assert np.linalg.norm(more.items, axis=1) == pytest.approx(np.ones(3000), abs=1e-5)
    # Two near ones lie .3 … .5 apart in cosine; what lies between is nearer to one than they are to each other.
    assert (more.items[2000:] @ vectors.items.T).max(axis=1).min() > 0.5
    assert (grown(vectors, 3000).items == more.items).all()
    assert len(grown(vectors, 500).items) == 500


def test_the_truth_is_what_ranks_highest_and_is_allowed(vectors: Vectors):
    allowed = np.arange(2000) % 2 == 0
    scores = vectors.items @ vectors.queries[0] + 0.1 * vectors.popularity
    best = [n for n in np.argsort(-scores).tolist() if allowed[n]][:COUNT]
    assert sorted(truth(vectors, vectors.queries[0], allowed).tolist()) == sorted(best)
    assert len(truth(vectors, vectors.queries[0], np.arange(2000) < 7)) == 7


def test_every_method_is_asked_the_same(vectors: Vectors):
    said: list[str] = []
    found = compared(vectors, PLAN, said.append)
    assert found.keys() == {"ours", "exact", "hnsw_500", "hnsw_1000", "usearch_500", "usearch_1000"}
    assert (found["exact"]["recall_500"], found["exact"]["fewest"]) == (1.0, COUNT)
    assert found["ours"]["recall_500"] > 0.99
    assert found["ours"]["memory_mib"] < found["exact"]["memory_mib"] + 1
    for kind in KINDS:
        few = filtered(vectors, 0.9, kind, said.append)
        assert few["fewest"] == few["allowed"] < COUNT
        assert few["recall_500"] == 1.0
    assert few["allowed"] == 200


def test_what_is_not_kept_is_told():
    good = {"recall_500": 0.995, "fewest": 500}
    kept = {"ours": good, "filtered": [{**good, "left_out": 0.99, "filter": BY_CHANCE, "allowed": 5000}]}
    assert broken(kept) == []
    short = {"recall_500": 0.5, "fewest": 20, "left_out": 0.99, "filter": BY_CHANCE, "allowed": 5000}
    assert len(broken({"ours": {**good, "recall_500": 0.98}, "filtered": [short]})) == 3

"""A catalog of any size as a published snapshot: clustered vectors, popularity with a long tail, neighbours, past visits, and real towers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import lightgbm
import numpy as np

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.features import EMBEDDING_SIZE
from infra.bench.features.shoppers import AT
from models.decide.artifacts import set_current, write_snapshot
from models.decide.facts import FACTS
from models.decide.query import SLOTS
from models.decide.ranker import AGE, FEATURES, NUMBERS, POOL
from models.decide.scored import Floats
from models.decide.sessions import session_index
from models.decide.snapshot import Snapshot
from models.decide.words import WORD_BUCKETS
from models.ranker import PARAMS, ROUNDS

OLDEST_DAYS = 400
CLUSTER = 500
"""Items that point much the same way."""
BRANDS, CATEGORIES, VISITS = 1_000, 400, 200_000
NEIGHBOURS = 50
LEARNED = 50
CUT = "2011-09-01"


def publish(serving: Path, items: int, seed: int = 0, visits: int = VISITS) -> str:
    """Write a snapshot of so many items and make it current; returns its version."""
    version = write(serving, items, seed, visits)
    set_current(serving, version)
    return version


def write(serving: Path, items: int, seed: int = 0, visits: int = VISITS) -> str:
    """Write a snapshot of so many items; returns its version."""
    return write_snapshot(serving, snapshot(items, seed, visits), query_tower(seed), AT, ranker(seed))


def item_id(number: int) -> str:
    """Ids in the order of their numbers."""
    return f"{number:07d}"


def snapshot(items: int, seed: int, visits: int = VISITS) -> Snapshot:
    """Everything that a decision reads of a catalog; every twentieth item is sold out."""
    chance = np.random.default_rng(seed)
    ids = tuple(map(item_id, range(items)))
    numbers = np.arange(items)
    clusters = max(1, items // CLUSTER)
    vectors = _vectors(items, clusters, chance)
    # Items of one cluster lie together: a neighbour is one a few numbers on.
    neighbours = (numbers[:, None] + np.arange(1, NEIGHBOURS + 1)) % items
    scores = chance.random((items, NEIGHBOURS), np.float32)
    scores[:, ::-1].sort(axis=1)
    of_visit = np.repeat(np.arange(visits, dtype=np.int32), 5)
    ages = np.log1p(chance.uniform(0, OLDEST_DAYS, items))
    described = chance.random((items, len(NUMBERS)), np.float32)
    described[:, AGE] = ages
    visited = (chance.integers(0, items, visits).repeat(5) + chance.integers(0, 20, 5 * visits)) % items
    return Snapshot(
        ids=ids,
        index={item: row for row, item in enumerate(ids)},
        titles=tuple(f"Item {number} of kind {number // CLUSTER}" for number in range(items)),
        categories=tuple(f"kind {n % 20} > kind {n % CATEGORIES}" for n in (numbers // CLUSTER).tolist()),
        brands=tuple(f"brand {n}" for n in chance.integers(0, BRANDS, items).tolist()),
        price_minor=tuple(chance.integers(100, 10_000, items).tolist()),
        currency=("EUR",) * items,
        in_stock=numbers % 20 != 19,
        offered_at=np.full(items, to_micros(Cut(date.fromisoformat(CUT)).end)),
        campaigns=(None,) * items,
        ships_in_days=np.full(items, -1, np.int32),
        numbers=described,
        vectors=vectors,
        word_vectors=chance.normal(size=(WORD_BUCKETS, EMBEDDING_SIZE)).astype(np.float32),
        popularity=np.floor(chance.pareto(1.0, items) * 3).astype(np.float32),
        neighbours=neighbours.astype(np.int32),
        scores=scores,
        sessions=session_index(of_visit, visited.astype(np.int32), items),
        kind="two_tower",
        version="",
        model_version="bench-1",
        cut_on=CUT,
    )


def query_tower(seed: int) -> bytes:
    """The query tower as it serves, with weights by chance: they cost what trained ones do."""
    from models.export import query_tower_file
    from models.keras2 import tf
    from models.towers import QueryTower, Shape

    tf.keras.utils.set_random_seed(seed)
    tower = QueryTower(Shape())
    tower(
        (
            np.zeros((1, SLOTS, EMBEDDING_SIZE), np.float32),
            np.zeros((1, SLOTS), np.int32),
            np.zeros((1, EMBEDDING_SIZE), np.float32),
            np.zeros((1, FACTS), np.float32),
        )
    )
    return query_tower_file(tower)


def ranker(seed: int) -> bytes:
    """Trees by chance, as many and as large as a training makes them."""
    chance = np.random.default_rng(seed)
    given = chance.random((LEARNED * POOL, len(FEATURES)), np.float32)
    gains = (given[:, :8].sum(axis=1) > 5).astype(np.int32)
    data = lightgbm.Dataset(given, gains, group=[POOL] * LEARNED, feature_name=list(FEATURES))
    return lightgbm.train({**PARAMS, "seed": seed}, data, ROUNDS).model_to_string().encode()


def update(number: int, at: object, price: int, *, in_stock: bool) -> dict[str, object]:
    """A flat catalog update as it stands in the topic; what is not there is sold out or, at an odd price, withdrawn."""
    return {
        "item_id": item_id(number),
        "title": f"Item {number}",
        "price_minor": price,
        "currency": "EUR",
        "availability": "in_stock" if in_stock else ("out_of_stock", "withdrawn")[price % 2],
        "effective_time": at,
    }


def _vectors(items: int, clusters: int, chance: np.random.Generator) -> Floats:
    centres = chance.normal(size=(clusters, EMBEDDING_SIZE)).astype(np.float32)
    vectors: Floats = centres[np.minimum(np.arange(items) // CLUSTER, clusters - 1)]
    vectors += 0.7 * chance.standard_normal(size=vectors.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors

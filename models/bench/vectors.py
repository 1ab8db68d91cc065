"""Vectors as training makes them: Diginetica's towers, the queries of its test, and a catalog grown to any size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import faiss
import numpy as np

from models.decide.blend import logarithmic
from models.evaluation.cases import Floats, Interactions, NextItem
from models.evaluation.datasets import PUBLIC
from models.evaluation.protocol import sample
from models.sequence.fit import Towers, fit_towers
from models.sequence.presets import FITS
from models.sequence.towers import item_slots, oldest_first

DATASET = "diginetica"
NEAR = 8
SPREAD = 0.1
"""Of a grown item: what chance adds, beside a length of one."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit vectors float32[items, 64], their popularity float32[items] (logarithmic), and queries float32[n, 64]."""

    items: Floats
    popularity: Floats
    queries: Floats


def trained(data: Path, epochs: int, asked: int, seed: int = 0) -> Vectors:
    """Fit the towers for so many epochs, and ask `asked` cases of the test.

    Raises:
        ModelsError: the data set is not there.
    """
    dataset = PUBLIC[DATASET](data)
    towers = fit_towers(dataset.train, dataset.items, None, replace(FITS[DATASET], epochs=epochs))
    counts = Interactions.of(dataset.train).counts(dataset.items)
    items: Floats = towers.items(None).numpy()
    return Vectors(items, logarithmic(counts), _queries(towers, sample(dataset.test, asked, seed)))


def grown(vectors: Vectors, count: int, seed: int = 0) -> Vectors:
    """As many items as asked for: beyond the trained ones each lies between two near ones, a little beside, as popular as one of them."""
    have = len(vectors.items)
    if count <= have:
        return replace(vectors, items=vectors.items[:count], popularity=vectors.popularity[:count])
    chance = np.random.default_rng(seed)
    flat = faiss.IndexFlatIP(vectors.items.shape[1])
    flat.add(vectors.items)
    _, near = flat.search(vectors.items, NEAR)
    one = chance.integers(0, have, count - have)
    other = near[one, chance.integers(1, NEAR, len(one))]
    share = chance.random((len(one), 1)).astype(np.float32)
    beside = chance.normal(size=(len(one), vectors.items.shape[1])).astype(np.float32)
    beside *= SPREAD / np.sqrt(vectors.items.shape[1])
    between = share * vectors.items[one] + (1 - share) * vectors.items[other] + beside
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    return replace(
        vectors,
        items=np.concatenate([vectors.items, between]),
        popularity=np.concatenate([vectors.popularity, vectors.popularity[one]]),
    )


def _queries(towers: Towers, cases: NextItem) -> Floats:
    vectors = towers.items(None)
    slots = oldest_first(cases.positions[:, : towers.query.shape.slots])
    found: Floats = towers.query(item_slots(vectors, slots))[:, -1].numpy()
    return found

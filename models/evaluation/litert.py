"""What the LiteRT files lose: the served query tower beside Keras, and the same with its weights as 8-bit integers.

max_error     greatest difference of any component, float32
cosine        least cosine between the quantized tower's queries and Keras's
overlap_500   mean share of the first 500 items that both order first
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.catalog import item_features
from models.decide.tower import QueryTower, tower_query
from models.evaluation.cases import Floats
from models.evaluation.protocol import sample
from models.evaluation.shop import Shop
from models.examples import Examples
from models.export import query_tower_file
from models.train import Fit, query_of
from models.training import fitted_towers

ASKED = 1000
FIRST = 500


def litert_section(shop: Shop, fit: Fit) -> dict[str, Any]:
    """Train the two-tower, export it, and ask all three the same."""
    model, _ = fitted_towers(shop.catalog, shop.train, fit)
    vectors = model.item_vectors().numpy()
    asked = told_words(sample(shop.asked.where((shop.asked.kinds != 0).any(axis=1)), ASKED, 0), shop)
    expected = query_of(model, vectors)(asked)
    exact, quantized = (
        query_tower_file(model.query_tower),
        query_tower_file(model.query_tower, quantized=True),
    )
    words = model.item_tower.words.get_weights()[0]
    small = queries(quantized, vectors, words, asked)
    return {
        "asked": len(asked),
        "bytes": len(exact),
        "quantized_bytes": len(quantized),
        "max_error": float(np.abs(queries(exact, vectors, words, asked) - expected).max()),
        "cosine": round(float(cosines(small, expected).min()), 6),
        "overlap_500": round(overlap(small @ vectors.T, expected @ vectors.T, FIRST), 4),
    }


def told_words(asked: Examples, shop: Shop) -> Examples:
    """Every other case with its label's words: this shop has recorded no search."""
    words = item_features(shop.catalog, {}).words[asked.labels]
    words[::2] = 0
    return replace(asked, words=words)


def queries(tower: bytes, vectors: Floats, words: Floats, asked: Examples) -> Floats:
    """float32[n, 64] by a LiteRT file, as the scorer asks it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tower.tflite"
        path.write_bytes(tower)
        query = tower_query(QueryTower(path), vectors, words)
        return np.array([query(asked.question(row)) for row in range(len(asked))], np.float32)


def cosines(a: Floats, b: Floats) -> Floats:
    """float32[n], row by row."""
    found: Floats = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return found


def overlap(a: Floats, b: Floats, first: int) -> float:
    """Mean share of the greatest `first` of each row of scores [n, items] that both have."""
    first = min(first, a.shape[1])
    ours, theirs = (np.argpartition(-scores, first - 1, axis=1)[:, :first] for scores in (a, b))
    return float(np.mean([len(np.intersect1d(x, y)) / first for x, y in zip(ours, theirs, strict=True)]))

"""What the item vectors say: the nearest neighbours of real products, and a map.

The map is the plane in which the vectors of the most frequent items differ most (their first two principal components).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.catalog import Catalog
from models.evaluation.cases import Floats, Longs
from models.evaluation.shop import Shop
from models.train import Fit
from models.training import fitted_towers

SHOWN = 8
NEAREST = 5
MAPPED = 400


def items_section(shop: Shop, fit: Fit) -> dict[str, Any]:
    """Train the two-tower, and look at its items."""
    model, _ = fitted_towers(shop.catalog, shop.train, fit)
    vectors = model.item_vectors().numpy()
    often = np.argsort(-shop.train.interactions().counts(shop.items), kind="stable")[:MAPPED]
    return {
        "neighbours": neighbours(shop.catalog, vectors, often[:: max(1, len(often) // SHOWN)][:SHOWN]),
        "map": map_of(shop.catalog, vectors, often),
    }


def neighbours(catalog: Catalog, vectors: Floats, shown: Longs) -> list[dict[str, Any]]:
    """The items nearest to each shown one, by cosine."""
    cosine = vectors[shown] @ vectors.T
    cosine[np.arange(len(shown)), shown] = -np.inf
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(NEAREST, len(vectors) - 1)]
    return [
        {
            "item": catalog.titles[item],
            "nearest": [
                {"item": catalog.titles[n], "cosine": round(float(cosine[row, n]), 3)} for n in nearest[row]
            ],
        }
        for row, item in enumerate(shown)
    ]


def map_of(catalog: Catalog, vectors: Floats, shown: Longs) -> list[dict[str, Any]]:
    """Each shown item's place, both coordinates between 0 and 1."""
    apart = vectors[shown] - vectors[shown].mean(axis=0)
    _, _, axes = np.linalg.svd(apart, full_matrices=False)
    places = apart @ axes[:2].T
    places -= places.min(axis=0)
    places /= np.maximum(places.max(axis=0), 1e-9)
    return [
        {"item": catalog.titles[item], "x": round(float(x), 3), "y": round(float(y), 3)}
        for item, (x, y) in zip(shown, places, strict=True)
    ]

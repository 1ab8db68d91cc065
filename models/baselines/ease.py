"""EASE, a linear item-item model in closed form, for catalogs whose square fits into memory.

Steck 2019 (arXiv:1905.03375): B = I - P / diag(P) with P = (X'X + λI)^-1.
"""

from __future__ import annotations

import numpy as np

from models.baselines.item_knn import basket_matrix, slot_weights
from models.baselines.popularity import filled
from models.evaluation.cases import Cases, Floats, Interactions
from models.evaluation.ranking import Score

ITEMS_AT_MOST = 20_000


def ease(train: Interactions, items: int, penalty: float) -> Floats:
    """float32[items, items]: row a holds what a says of the others; its own weight is 0.

    Raises:
        ValueError: the catalog is larger than `ITEMS_AT_MOST`.
    """
    if items > ITEMS_AT_MOST:
        raise ValueError(f"EASE inverts {items} x {items} numbers; at most {ITEMS_AT_MOST} items")
    from scipy.linalg import lapack

    baskets = basket_matrix(train, items)
    gram: Floats = (baskets.T @ baskets).astype(np.float32).toarray()
    gram[np.diag_indices(items)] += penalty
    lower, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, undone = lapack.spotri(lower, lower=1, overwrite_c=1)
    assert not failed and not undone, "X'X + λI is positive definite"
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights: Floats = -inverse / np.diag(inverse)[None, :]
    weights[np.diag_indices(items)] = 0
    return weights


def score_ease(weights: Floats, counts: Floats, decay: float = 0.0) -> Score[Cases]:
    """Sums of weights over the slots, the n-th newest weighed n^-decay."""

    def score(cases: Cases) -> Floats:
        found = slot_weights(cases.positions, len(counts), decay) @ weights
        return filled(np.asarray(found, np.float32), counts)

    return score

"""Implicit ALS (Hu, Koren, Volinsky 2008, doi:10.1109/ICDM.2008.22) by the `implicit` library; shoppers are folded in.

A query is solved from the shopper's own items, so that a session that the training did not see has one as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.baselines.item_knn import basket_matrix, slot_weights
from models.evaluation.cases import Cases, Floats, Interactions
from models.evaluation.ranking import Score


@dataclass(frozen=True, slots=True)
class Ials:
    """Item factors float32[items, factors] and what a query is solved with."""

    factors: Floats
    regularization: float
    alpha: float


def ials(
    train: Interactions,
    items: int,
    *,
    factors: int,
    regularization: float,
    alpha: float,
    iterations: int,
    seed: int,
) -> Ials:
    """Fit on the binary baskets, an item of which counts 1 + alpha against 1 for what is not there."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    baskets = (basket_matrix(train, items) * (1 + alpha)).tocsr().astype(np.float32)
    # It has threads of its own, which BLAS's would wait for.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=1.0,
            iterations=iterations,
            random_state=seed,
            num_threads=0,
        )
        model.fit(baskets, show_progress=False)
    return Ials(np.asarray(model.item_factors, np.float32), regularization, alpha)


def score_ials(model: Ials, counts: Floats, decay: float = 0.0) -> Score[Cases]:
    """Dot products of folded-in queries; a case without items gets popularity."""
    factors = model.factors.astype(np.float64)
    gram = factors.T @ factors + model.regularization * np.eye(factors.shape[1])

    def score(cases: Cases) -> Floats:
        weights = slot_weights(cases.positions, len(counts), decay)
        queries = np.zeros((len(cases), factors.shape[1]))
        for row in range(len(cases)):
            start, end = weights.indptr[row : row + 2]
            if end > start:
                taken = factors[weights.indices[start:end]]
                confidence = model.alpha * weights.data[start:end]
                left = gram + taken.T @ (confidence[:, None] * taken)
                queries[row] = np.linalg.solve(left, taken.T @ (1 + confidence))
        found = (queries @ factors.T).astype(np.float32)
        empty = np.diff(weights.indptr) == 0
        found[empty] = counts[None, :]
        return found

    return score

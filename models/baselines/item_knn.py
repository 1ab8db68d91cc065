"""Item-kNN by cosine over sessions, after Sarwar et al. 2001 (doi:10.1145/371920.372071)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.baselines.popularity import filled
from models.evaluation.cases import Cases, Floats, Interactions, Ints
from models.evaluation.ranking import Score

NEIGHBOURS = 50
BASKET_EXPONENT = 0.5


@dataclass(frozen=True, slots=True)
class Knn:
    """`neighbours` int32[items, k], nearest first, -1 beyond them; `scores` float32[items, k], 0 beyond them."""

    neighbours: Ints
    scores: Floats


def item_knn(
    train: Interactions,
    items: int,
    neighbours: int = NEIGHBOURS,
    basket_exponent: float = BASKET_EXPONENT,
    shrink: float = 0.0,
) -> Knn:
    """Items of the same sessions: c(a, b) / (sqrt(c(a) c(b)) + shrink), the greatest `neighbours` of each.

    A session of n items counts n^-basket_exponent: a wholesaler's hundred lines say less of any pair of them.
    """
    baskets = basket_matrix(train, items)
    weight = sparse.diags(np.diff(baskets.indptr).astype(np.float64) ** -basket_exponent)
    together = (baskets.T @ weight @ baskets).tocoo()
    own = together.diagonal()
    apart = together.row != together.col
    rows, columns, found = together.row[apart], together.col[apart], together.data[apart]
    cosine = found / (np.sqrt(own[rows] * own[columns]) + shrink)
    return _nearest(sparse.csr_matrix((cosine, (rows, columns)), together.shape), neighbours)


def knn_matrix(knn: Knn) -> sparse.csr_matrix:
    """The same neighbours as float32[items, items]: row a holds the scores that a gives."""
    rows, columns = np.nonzero(knn.neighbours >= 0)
    shape = (len(knn.neighbours), len(knn.neighbours))
    return sparse.csr_matrix((knn.scores[rows, columns], (rows, knn.neighbours[rows, columns])), shape)


def score_knn(knn: Knn, counts: Floats, decay: float = 1.0) -> Score[Cases]:
    """Sums of neighbour scores over the slots, the n-th newest weighed n^-decay; what none speaks for by popularity."""
    matrix = knn_matrix(knn)

    def score(cases: Cases) -> Floats:
        found = (slot_weights(cases.positions, len(counts), decay) @ matrix).toarray().astype(np.float32)
        return filled(found, counts)

    return score


def slot_weights(positions: Ints, items: int, decay: float = 1.0) -> sparse.csr_matrix:
    """float32[n, items]: how much each item of the slots counts, the n-th newest slot n^-decay."""
    row, slot = np.nonzero(positions >= 0)
    weights = ((slot + 1.0) ** -decay).astype(np.float32)
    return sparse.csr_matrix((weights, (row, positions[row, slot])), (len(positions), items))


def basket_matrix(train: Interactions, items: int) -> sparse.csr_matrix:
    """Binary float64[sessions, items]; sessions are numbered anew, in their order."""
    sessions = np.unique(train.sessions, return_inverse=True)[1]
    ones = np.ones(len(train), np.float64)
    baskets = sparse.csr_matrix((ones, (sessions, train.items)), (int(sessions.max()) + 1, items))
    baskets.data[:] = 1
    return baskets


def _nearest(similarity: sparse.csr_matrix, count: int) -> Knn:
    """The greatest `count` of each row; ties by item order."""
    found = np.full((similarity.shape[0], count), -1, np.int32)
    scores = np.zeros((similarity.shape[0], count), np.float32)
    for row in range(similarity.shape[0]):
        start, end = similarity.indptr[row : row + 2]
        items, weights = similarity.indices[start:end], similarity.data[start:end].astype(np.float32)
        best = np.lexsort((items, -weights))[:count]
        found[row, : len(best)] = items[best]
        scores[row, : len(best)] = weights[best]
    return Knn(found, scores)

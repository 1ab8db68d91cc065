"""The baselines that stay in the product: popularity, and item-kNN by cosine over sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.examples import Examples

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
NEIGHBOURS = 50
POPULAR_DAYS = 30


@dataclass(frozen=True, slots=True)
class Knn:
    """`neighbours` int32[items, 50], nearest first, -1 beyond them; `scores` float32[items, 50], 0 beyond them."""

    neighbours: Ints
    scores: Floats


def popularity(train: Examples, items: int) -> Floats:
    """float32[items]: how often each was added in the last 30 days of the training rows."""
    first = train.days.max() - np.timedelta64(POPULAR_DAYS - 1, "D")
    counts: Floats = np.bincount(train.labels[train.days >= first], minlength=items).astype(np.float32)
    return counts


def item_knn(train: Examples, items: int, neighbours: int = NEIGHBOURS) -> Knn:
    """Items that are added in the same sessions: c(a, b) / sqrt(c(a) c(b)), the greatest `neighbours` of each.

    The item-based method of Sarwar et al. 2001 (doi:10.1145/371920.372071) on binary session baskets. A
    basket of n items counts 1 / sqrt(n): a wholesaler's hundred lines say less of any pair of them.
    """
    baskets = _baskets(train, items)
    weight = sparse.diags(1 / np.sqrt(np.diff(baskets.indptr)))
    together = (baskets.T @ weight @ baskets).tocsr()
    own = together.diagonal()
    norm = sparse.diags(1 / np.sqrt(np.where(own > 0, own, 1)))
    together.setdiag(0)
    together.eliminate_zeros()
    return _nearest((norm @ together @ norm).tocsr(), neighbours)


def knn_matrix(knn: Knn) -> sparse.csr_matrix:
    """The same neighbours as float32[items, items]: row a holds the scores that a gives."""
    rows, columns = np.nonzero(knn.neighbours >= 0)
    shape = (len(knn.neighbours), len(knn.neighbours))
    return sparse.csr_matrix((knn.scores[rows, columns], (rows, knn.neighbours[rows, columns])), shape)


def _baskets(train: Examples, items: int) -> sparse.csr_matrix:
    """Binary [sessions, items]."""
    sessions = np.unique(train.sessions, return_inverse=True)[1]
    ones = np.ones(len(train), np.float64)
    baskets = sparse.csr_matrix((ones, (sessions, train.labels)), (int(sessions.max()) + 1, items))
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

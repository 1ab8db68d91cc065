"""Full-ranking evaluation: every model ranks the whole catalog for the same examples.

Items that lie in the session's cart already are no candidates, for any model, as in serving; a label that is
itself added again stays a candidate of its own example, so that every example counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.baselines import Knn, knn_matrix
from models.decide.query import recency
from models.examples import Examples

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Score = Callable[[Examples], Floats]
K = 20
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Metrics:
    """Means over the examples; with one label an example, recall is the hit rate."""

    recall_at_20: float
    ndcg_at_20: float
    coverage_at_20: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def evaluate(score: Score, examples: Examples, items: int) -> Metrics:
    """Metrics of a model that gives float32[n, items] for n examples."""
    ranks: list[npt.NDArray[np.int64]] = []
    shown = np.zeros(items, bool)
    for chunk in _chunks(examples):
        scores = masked(score(chunk), chunk)
        ranks.append(label_ranks(scores, chunk.labels))
        shown[top_items(scores, K)] = True
    return metrics_of(np.concatenate(ranks), shown)


def metrics_of(ranks: npt.NDArray[np.int64], shown: npt.NDArray[np.bool_]) -> Metrics:
    """Metrics of the labels' ranks (1 is best) and of the items that stood in any top 20."""
    hits = ranks <= K
    gains = np.where(hits, 1 / np.log2(ranks + 1), 0)
    return Metrics(float(hits.mean()), float(gains.mean()), float(shown.mean()))


def masked(scores: Floats, examples: Examples) -> Floats:
    """Scores with -inf for the items in the cart, but for the label."""
    scores = scores.copy()
    rows = np.arange(len(examples))
    of_label = scores[rows, examples.labels].copy()
    row, slot = np.nonzero(examples.carted >= 0)
    scores[row, examples.carted[row, slot]] = -np.inf
    scores[rows, examples.labels] = of_label
    return scores


def label_ranks(scores: Floats, labels: Ints) -> npt.NDArray[np.int64]:
    """1 + the number of items before the label; ties stand in item order, as when serving."""
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    ranks: npt.NDArray[np.int64] = 1 + ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
    return ranks


def top_items(scores: Floats, count: int) -> npt.NDArray[np.intp]:
    """The items [n, count] of the greatest scores, in no order."""
    count = min(count, scores.shape[1])
    items: npt.NDArray[np.intp] = np.argpartition(scores, -count, axis=1)[:, -count:]
    return items


def score_popularity(counts: Floats) -> Score:
    """The same scores for everyone."""
    return lambda examples: np.broadcast_to(counts, (len(examples), len(counts)))


def score_knn(knn: Knn, counts: Floats) -> Score:
    """Sums of neighbour scores over the slots, weighed by recency; items that no slot speaks for follow by popularity, as in serving."""
    matrix = knn_matrix(knn)
    fill = (counts - counts.max() - 1) / (counts.max() + 1)

    def score(examples: Examples) -> Floats:
        scores = (_slot_weights(examples, len(counts)) @ matrix).toarray().astype(np.float32)
        return np.where(scores > 0, scores, fill[None, :]).astype(np.float32)

    return score


def score_vectors(query: Callable[[Examples], Floats], vectors: Floats, counts: Floats) -> Score:
    """Dot products of query vectors [n, dim] with item vectors; without any item, popularity, as in serving."""

    def score(examples: Examples) -> Floats:
        nothing = (examples.kinds == 0).all(axis=1)
        return np.where(nothing[:, None], counts[None, :], query(examples) @ vectors.T).astype(np.float32)

    return score


def _slot_weights(examples: Examples, items: int) -> sparse.csr_matrix:
    """[n, items]: how much each item of the slots counts."""
    row, slot = np.nonzero(examples.positions >= 0)
    weights = recency(examples.positions.shape[1])[slot]
    return sparse.csr_matrix((weights, (row, examples.positions[row, slot])), (len(examples), items))


def _chunks(examples: Examples) -> Iterator[Examples]:
    numbers = np.arange(len(examples))
    for start in range(0, len(examples), CHUNK):
        yield examples.where((numbers >= start) & (numbers < start + CHUNK))

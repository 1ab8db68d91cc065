"""Full ranking: every model orders the whole catalog for the same cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.evaluation.cases import AnyCases, Cases, Floats, Ints, Longs, chunks
from models.evaluation.metrics import Ranking

Score = Callable[[AnyCases], Floats]
"""Cases → float32[n, items]."""
K = 20
CHUNK = 1024


def rank(score: Score[AnyCases], cases: AnyCases) -> Ranking:
    """Rank the catalog for each case; equal scores stand in item order, as when serving."""
    ranks, top = [], []
    for chunk in chunks(cases, CHUNK):
        scores = masked(score(chunk), chunk)
        ranks.append(label_ranks(scores, chunk.labels))
        top.append(top_items(scores, K))
    return Ranking(np.concatenate(ranks), np.concatenate(top))


def masked(scores: Floats, cases: Cases) -> Floats:
    """Scores with -inf for what is no candidate, but for the label: every case counts."""
    scores = scores.copy()
    numbers = np.arange(len(cases))
    of_label = scores[numbers, cases.labels].copy()
    rows, items = cases.excluded()
    scores[rows, items] = -np.inf
    scores[numbers, cases.labels] = of_label
    return scores


def label_ranks(scores: Floats, labels: Ints) -> Longs:
    """1 + the number of items before the label; ties stand in item order, and what is not comparable (NaN) before it."""
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    behind = (scores < own) | ((scores == own) & ~earlier)
    # The label ties with itself, which counts as behind; a NaN does not tie, and is not before itself either.
    ranks: Longs = 1 + (~behind).sum(axis=1) - np.isnan(own[:, 0])
    return ranks


def top_items(scores: Floats, count: int) -> Ints:
    """The items [n, count] of the greatest scores, in no order."""
    count = min(count, scores.shape[1])
    return np.argpartition(scores, -count, axis=1)[:, -count:].astype(np.int32)

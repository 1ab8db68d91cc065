"""Figures of one ranking: of each case from its label's rank, and of all cases from what stands at the top.

Definitions: Recall (with one label, the hit rate), NDCG and MRR as in ranx; coverage, novelty and popularity bias as in
Vargas & Castells 2011 (doi:10.1145/2043932.2043955) and Abdollahpouri et al. 2019 (arXiv:1907.13286).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.cases import Floats, Ints, Longs

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a model made of some cases.

    Attributes:
        ranks: int64[n], the label's place among all items, 1 is best.
        top: int32[n, k], the first items of each case, in no order.
    """

    ranks: Longs
    top: Ints

    def recall(self, k: int) -> Doubles:
        """float64[n]: 1 where the label is among the first k."""
        return (self.ranks <= k).astype(np.float64)

    def ndcg(self, k: int) -> Doubles:
        """float64[n]: 1 / log2(rank + 1) within the first k."""
        return np.where(self.ranks <= k, 1 / np.log2(self.ranks + 1), 0.0)

    def reciprocal(self, k: int) -> Doubles:
        """float64[n]: 1 / rank within the first k."""
        return np.where(self.ranks <= k, 1 / self.ranks, 0.0)

    def coverage(self, items: int) -> float:
        """The share of the items that stand at the top of any case."""
        return len(np.unique(self.top)) / items

    def novelty(self, counts: Floats) -> float:
        """Mean bits of what stands at the top: -log2 of the item's share of the training events, each item once more."""
        share = (counts + 1) / (counts.sum() + len(counts))
        return float(-np.log2(share)[self.top].mean())

    def popularity_bias(self, counts: Floats) -> float:
        """Mean popularity of what stands at the top, as a multiple of the mean item's."""
        return float(counts[self.top].mean() / max(counts.mean(), 1e-9))

"""A two-tower's scores as `models.decide` serves them, for many cases at once: what is measured is what serves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.baselines.item_knn import Knn
from models.decide.blend import SERVED, Blend, blended, logarithmic, neighbour_sums
from models.evaluation.cases import Floats
from models.evaluation.ranking import Score
from models.examples import Examples

Queries = Callable[[Examples], Floats]
"""Examples → query vectors float32[n, 64]."""


def score_served(
    query: Queries, vectors: Floats, knn: Knn, counts: Floats, blend: Blend = SERVED
) -> Score[Examples]:
    """The blend over item vectors float32[items, 64]; `counts` float32[items] is the popularity of the cut."""
    popularity = logarithmic(counts)

    def score(examples: Examples) -> Floats:
        known = (examples.kinds != 0).any(axis=1)
        found = np.zeros((len(examples), len(counts)), np.float32)
        if known.any():
            found[known] = query(examples.where(known)) @ vectors.T
        for row in range(len(examples)):
            positions = examples.positions[row]
            found[row] = blended(
                found[row],
                positions,
                examples.kinds[row],
                popularity=popularity,
                together=neighbour_sums(knn.neighbours, knn.scores, positions[positions >= 0]),
                blend=blend,
            )
        return found

    return score

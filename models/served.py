"""A two-tower's scores as `models.decide` serves them, for many cases at once: what is measured is what serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.baselines.item_knn import Knn, item_knn
from models.baselines.popularity import popularity
from models.decide.blend import SERVED, Blend, logarithmic, neighbour_sums, parts, total
from models.decide.query import of_session
from models.decide.scored import NOTHING
from models.decide.sessions import SessionIndex, session_index, votes
from models.evaluation.cases import Floats, Interactions, Ints
from models.evaluation.ranking import Score
from models.examples import Examples

Queries = Callable[[Examples], Floats]
"""Examples → query vectors float32[n, 64]."""


@dataclass(frozen=True, slots=True)
class Around:
    """What is blended around the towers: the neighbours, past visits, and the popularity float32[items], logarithmic."""

    knn: Knn
    sessions: SessionIndex
    popularity: Floats

    @classmethod
    def of(cls, knn: Knn, sessions: SessionIndex, counts: Floats) -> Around:
        """Of counts float32[items]."""
        return cls(knn, sessions, logarithmic(counts))

    @classmethod
    def learned(cls, train: Interactions, items: int) -> Around:
        """Of the rows that the towers learn from."""
        sessions = session_index(train.sessions, train.items, items)
        return cls.of(item_knn(train, items), sessions, popularity(train, items))


def score_served(query: Queries, vectors: Floats, around: Around, blend: Blend = SERVED) -> Score[Examples]:
    """The blend over item vectors float32[items, 64]; popularity where neither an item nor a word is known, as on the ladder."""

    def score(examples: Examples) -> Floats:
        known = (examples.kinds != 0).any(axis=1) | (examples.words != 0).any(axis=1)
        found = np.zeros((len(examples), len(vectors)), np.float32)
        if known.any():
            found[known] = query(examples.where(known)) @ vectors.T
        found = blend_rows(found, examples.positions, examples.kinds, around, blend)
        found[~known] = around.popularity
        return found

    return score


def blend_rows(similar: Floats, positions: Ints, kinds: Ints, around: Around, blend: Blend) -> Floats:
    """float32[n, items]: `decide.blend` of each row.

    Args:
        similar: float32[n, items], dot products of the queries with the item vectors.
        positions: int32[n, slots]; `kinds` beside it.
    """
    knn, found = around.knn, np.empty_like(similar)
    items = np.arange(similar.shape[1], dtype=np.int32)
    for row, (slots, kind) in enumerate(zip(positions, kinds, strict=True)):
        known = slots[slots >= 0]
        said = parts(
            items,
            similar[row],
            slots,
            kind,
            popularity=around.popularity,
            together=neighbour_sums(knn.neighbours, knn.scores, known),
            voted=votes(around.sessions, slots[of_session(kind)]) if blend.voted else NOTHING,
            blend=blend,
        )
        found[row] = total(said)
    return found

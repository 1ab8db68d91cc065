"""A two-tower's scores as `models.decide` serves them, for many cases at once: what is measured is what serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from models.baselines.item_knn import Knn, item_knn
from models.baselines.popularity import popularity
from models.decide.blend import SERVED, Blend, logarithmic, neighbour_sums, parts, total
from models.decide.query import of_session
from models.decide.ranker import Rank, pool_of
from models.decide.scored import NOTHING, Scored
from models.decide.sessions import SessionIndex, session_index, votes
from models.evaluation.cases import Floats, Interactions, Ints, Mask
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


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A two-tower as it serves: the blend over item vectors float32[items, 64], and what a ranker makes of the blend's best and of rows
    `new` int32."""

    query: Queries
    vectors: Floats
    around: Around
    blend: Blend = SERVED
    rank: Rank | None = None
    new: Ints = field(default_factory=lambda: np.empty(0, np.int32))

    def score(self, examples: Examples) -> Floats:
        """float32[n, items]; popularity where neither an item nor a word is known, as on the ladder."""
        known = is_asked(examples)
        found = np.tile(self.around.popularity, (len(examples), 1))
        if known.any():
            asked = examples.where(known)
            said = self.said(asked)
            if self.rank is None:
                found[known] = [total(one) for one in said]
            else:
                found[known] = [self._ranked(asked, row, one, self.rank) for row, one in enumerate(said)]
        return found

    def said(self, examples: Examples) -> Iterator[dict[str, Floats]]:
        """Example by example what each source adds to the blend, float32[items] by its name."""
        similar = self.query(examples) @ self.vectors.T
        return said_rows(similar, examples.positions, examples.kinds, self.around, self.blend)

    def _ranked(self, examples: Examples, row: int, said: Mapping[str, Floats], rank: Rank) -> Floats:
        """float32[items]: the blend, above it its best in the ranker's order.

        A label that lies in the cart is a candidate, as `ranking.masked` has it: every case counts.
        """
        found, carted = total(said), examples.carted[row]
        pool = candidates(said, carted[carted != examples.labels[row]], self.new)
        order = rank(examples.question(row), pool, {name: value[pool] for name, value in said.items()}).scores
        found[pool] = found.max() + 1 + order - order.min()
        return found


def is_asked(examples: Examples) -> Mask:
    """bool[n]: of which an item or a word is known; the towers are asked about no others."""
    found: Mask = (examples.kinds != 0).any(axis=1) | (examples.words != 0).any(axis=1)
    return found


def candidates(said: Mapping[str, Floats], carted: Ints, new: Ints) -> Ints:
    """int32[n]: what a ranker is asked about, the blend's best first; what lies in the cart is no candidate."""
    free, near = total(said), said["similar"].copy()
    for scores in (free, near):
        scores[carted[carted >= 0]] = -np.inf
    return pool_of(Scored(np.arange(len(free), dtype=np.int32), free), Scored(new, near[new]))


def blend_rows(similar: Floats, positions: Ints, kinds: Ints, around: Around, blend: Blend) -> Floats:
    """float32[n, items]: `decide.blend` of each row; see `said_rows`."""
    found = np.empty_like(similar)
    for row, said in enumerate(said_rows(similar, positions, kinds, around, blend)):
        found[row] = total(said)
    return found


def said_rows(
    similar: Floats, positions: Ints, kinds: Ints, around: Around, blend: Blend
) -> Iterator[dict[str, Floats]]:
    """Row by row what each source adds.

    Args:
        similar: float32[n, items], dot products of the queries with the item vectors.
        positions: int32[n, slots]; `kinds` beside it.
    """
    knn = around.knn
    items = np.arange(similar.shape[1], dtype=np.int32)
    for row, (slots, kind) in enumerate(zip(positions, kinds, strict=True)):
        known = slots[slots >= 0]
        yield parts(
            items,
            similar[row],
            slots,
            kind,
            popularity=around.popularity,
            together=neighbour_sums(knn.neighbours, knn.scores, known),
            voted=votes(around.sessions, slots[of_session(kind)]) if blend.voted else NOTHING,
            blend=blend,
        )

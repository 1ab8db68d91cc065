"""How the sources of a two-tower's answer speak together.

```
score(i) = q · v(i)                              what follows, by the towers
         + popular  · p(i) / (1 + n) ^ fading    what everybody takes: the less is known of the shopper, the more it counts
         + again    · r(i) / (1 + s) ^ yielding  what the shopper had before: it counts less in a visit that speaks for itself
         + together · k(i)                       what is met with the slots' items
         + voted    · s(i)                       what visits like this one took
         - shown    · [i is this visit's newest]  what the shopper has before the eyes
```

n slots are filled, s of them by the session; an item may fill two. p is the logarithm of the item's count, 1 for the most popular; r sums 1/√slot over the
slots that hold the item, the newest slot 1; k sums the item's neighbour scores over the slots, each weighed by its recency, 1 for
the greatest; s likewise of the votes of `decide.sessions`. Without any item known p alone is left: the answer grows personal with every item instead of jumping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.decide.query import of_session, recency

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Blend:
    """The weights. A model carries its own, from its training on."""

    popular: float
    fading: float
    again: float
    yielding: float
    together: float
    voted: float = 0.0
    shown: float = 0.0


SERVED = Blend(popular=0.5, fading=1.0, again=1.15, yielding=1.0, together=0.12)
"""What trainings take: found on Online Retail's August (docs/decisions/0022, 0024), whose visits say nothing of `voted` and `shown`."""


def blended(
    similar: Floats,
    positions: Ints,
    kinds: Ints,
    *,
    popularity: Floats,
    together: Floats,
    voted: Floats,
    blend: Blend = SERVED,
) -> Floats:
    """float32[items], greater is better.

    Args:
        similar: float32[items], dot products of the query with the item vectors.
        positions: int32[slots] in the order of `query.slots`, -1 where a slot is empty; `kinds` beside it.
        popularity: float32[items], logarithmic: see `logarithmic`.
        together: float32[items], sums of neighbour scores, 0 where none speaks for an item; `voted` likewise of sessions.
    """
    filled = np.flatnonzero(positions >= 0)
    session = int(of_session(kinds).sum())
    scores = similar + np.float32(blend.popular / (1 + len(filled)) ** blend.fading) * popularity
    for source, share in ((together, blend.together), (voted, blend.voted)):
        greatest = source.max(initial=0.0)
        if greatest > 0:
            scores += np.float32(share / greatest) * source
    weight = blend.again / (1 + session) ** blend.yielding
    np.add.at(scores, positions[filled], (weight / np.sqrt(filled + 1)).astype(np.float32))
    if session:
        scores[positions[filled[0]]] -= np.float32(blend.shown)
    found: Floats = scores.astype(np.float32)
    return found


def logarithmic(popularity: Floats) -> Floats:
    """float32[items]: log(1 + count) over the greatest, which becomes 1; 0 where nothing was counted."""
    found = np.log1p(np.maximum(popularity, 0))
    part: Floats = (found / max(float(found.max(initial=0.0)), 1e-9)).astype(np.float32)
    return part


def neighbour_sums(neighbours: Ints, scores: Floats, positions: Ints) -> Floats:
    """float32[items]: each item's neighbour scores summed over the known `positions`, in the order of the slots, each by its place.

    Args:
        neighbours: int32[items, k], -1 beyond them; `scores` float32[items, k] beside it.
    """
    found = neighbours[positions]
    real = found >= 0
    given = scores[positions] * recency(len(positions))[:, None]
    summed: Floats = np.bincount(found[real], given[real], minlength=len(neighbours)).astype(np.float32)
    return summed

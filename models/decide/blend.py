"""How the sources of a two-tower's answer speak together.

```
score(i) = q · v(i)                              what follows, by the towers
         + popular  · (p(i) + trending · t(i)) / (1 + n) ^ fading
                                                 what everybody takes, and takes this hour: the less is known of the shopper, the more it counts
         + again    · r(i) / (1 + s) ^ yielding  what the shopper had before: it counts less in a visit that speaks for itself
         + together · k(i)                       what is met with the slots' items
         + voted    · s(i)                       what visits like this one took
         - shown    · [i is this visit's newest]  what the shopper has before the eyes
```

n slots are filled, s of them by the session; an item may fill two. p is the logarithm of the item's count, 1 for the most popular; r sums 1/√slot over the
slots that hold the item, the newest slot 1; k sums the item's neighbour scores over the slots, each weighed by its recency, 1 for
the greatest; s likewise of the votes of `decide.sessions`; t is `decide.trends`. Without any item known p and t alone are left: the answer grows personal with every item instead of jumping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.decide.query import of_session, recency
from models.decide.scored import NOTHING, Floats, Ints, Scored, summed


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
    trending: float = 0.1


SERVED = Blend(popular=0.5, fading=1.0, again=1.15, yielding=1.0, together=0.12)
"""What trainings take: found on Online Retail's August (docs/decisions/0022, 0024), whose visits say nothing of `voted` and `shown`."""


def total(said: Mapping[str, Floats]) -> Floats:
    """float32[n]: the score, of what each source adds."""
    found: Floats = np.sum(list(said.values()), axis=0, dtype=np.float32)
    return found


def parts(
    items: Ints,
    similar: Floats,
    positions: Ints,
    kinds: Ints,
    *,
    popularity: Floats,
    together: Scored,
    voted: Scored,
    trending: Scored = NOTHING,
    blend: Blend = SERVED,
) -> dict[str, Floats]:
    """What each source adds to the score of the items int32[n], which ascend: float32[n] by its name; greater is better.

    Args:
        similar: float32[n], dot products of the query with the items' vectors.
        positions: int32[slots] in the order of `query.slots`, -1 where a slot is empty; `kinds` beside it.
        popularity: float32[n], logarithmic: see `logarithmic`.
        together: sums of neighbour scores, of any items; `voted` likewise of sessions.
        trending: what is taken now, from 0 to 1 (`decide.trends`).
    """
    filled = np.flatnonzero(positions >= 0)
    session = int(of_session(kinds).sum())
    everybody = np.float32(weight_of_popularity(blend, len(filled)))
    found: dict[str, Floats] = {"similar": similar.astype(np.float32), "popular": everybody * popularity}
    if len(trending):
        found["trending"] = spread(items, trending.items, everybody * blend.trending * trending.scores)
    for name, source, share in (("together", together, blend.together), ("voted", voted, blend.voted)):
        greatest = source.scores.max(initial=0.0)
        if greatest > 0 and share:
            found[name] = spread(items, source.items, np.float32(share / greatest) * source.scores)
    if len(filled):
        weight = blend.again / (1 + session) ** blend.yielding
        found["again"] = spread(items, positions[filled], (weight / np.sqrt(filled + 1)).astype(np.float32))
    if session and blend.shown:
        found["shown"] = spread(items, positions[filled[:1]], np.array([-blend.shown], np.float32))
    return found


def weight_of_popularity(blend: Blend, filled: int) -> float:
    """What popularity counts where so many slots are filled."""
    return float(blend.popular / (1 + filled) ** blend.fading)


def spread(items: Ints, to: Ints, what: Floats) -> Floats:
    """float32[n]: what those of `to` get that are among the ascending `items`; one that is there twice gets both."""
    given = np.zeros(len(items), np.float32)
    if len(items):
        at = np.minimum(np.searchsorted(items, to), len(items) - 1)
        here = items[at] == to
        np.add.at(given, at[here], what[here])
    return given


def logarithmic(popularity: Floats) -> Floats:
    """float32[items]: log(1 + count) over the greatest, which becomes 1; 0 where nothing was counted."""
    found = np.log1p(np.maximum(popularity, 0))
    part: Floats = (found / max(float(found.max(initial=0.0)), 1e-9)).astype(np.float32)
    return part


def neighbour_sums(neighbours: Ints, scores: Floats, positions: Ints) -> Scored:
    """Each neighbour's scores summed over the known `positions`, in the order of the slots, each by its place.

    Args:
        neighbours: int32[items, k], -1 beyond them; `scores` float32[items, k] beside it.
    """
    found = neighbours[positions]
    real = found >= 0
    given = scores[positions] * recency(len(positions))[:, None]
    return summed(found[real], given[real])

"""What shoppers of one country take: for whom nothing is known of but where the request comes from.

```
share(i | country) = (n(i, country) + BELIEF · share(i)) / (n(country) + BELIEF)
```

n(i, country) counts shoppers who added i to a cart, each once, 0 below `LEAST_ALIKE`; n(country) is their sum; share(i) is the item's share of
the whole shop's additions. A country of little is near to the whole shop, and one of fewer than `LEAST_SHOPPERS` has no list: none tells what a
few take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from models.decide.scored import Floats, Ints, Scored

LISTED = 500
"""Items of one list: what a request leaves out is filled from what is popular."""
BELIEF = 500.0
"""What a country must count for half of its list to be its own (docs/decisions/0031)."""
LEAST_SHOPPERS, LEAST_ALIKE = 10, 3


@dataclass(frozen=True, slots=True)
class Cohorts:
    """A list for each country, best first: rows `items` int32[countries, LISTED], -1 where an item is gone, and `scores`
    float32[countries, LISTED] as `Snapshot.logarithmic` has them, 1 for what the whole shop takes most."""

    names: Sequence[str]
    items: Ints
    scores: Floats

    @classmethod
    def of(cls, names: Sequence[str], shoppers: Iterable[Floats], popularity: Floats) -> Self:
        """Of each country's n float32[items], in the order of `names`, and additions in the whole shop float32[items]."""
        listed, total = min(LISTED, len(popularity)), max(float(popularity.sum()), 1.0)
        everywhere, most = popularity / total, np.log1p(popularity.max(initial=1.0))
        items, scores = np.empty((len(names), listed), np.int32), np.empty((len(names), listed), np.float32)
        for row, found in enumerate(shoppers):
            counts = np.where(found >= LEAST_ALIKE, found, 0)
            share = (counts + BELIEF * everywhere) / (float(counts.sum()) + BELIEF)
            best = Scored(np.arange(len(share), dtype=np.int32), share).best(listed)
            items[row], scores[row] = best.items, np.log1p(total * best.scores) / most
        return cls(tuple(names), items, scores)

    def moved(self, rows: Ints) -> Self:
        """The same of a catalog whose row `rows[n]` is what row n is here, -1 where there is none any more."""
        return replace(self, items=np.where(self.items < 0, -1, rows[self.items]).astype(np.int32))

    def named(self, name: str | None) -> Scored | None:
        """The country's list; None where it has none."""
        if name is None or name not in self.names:
            return None
        row = self.names.index(name)
        there = self.items[row] >= 0
        return Scored(self.items[row][there], self.scores[row][there])


def no_cohorts() -> Cohorts:
    """Of a shop whose requests name no country."""
    return Cohorts((), np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))

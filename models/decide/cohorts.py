"""What shoppers of one country take: for whom nothing is known of but where the request comes from.

```
share(i | country) = (n(i, country) + BELIEF · share(i)) / (n(country) + BELIEF)
```

n counts what was added to the cart; share(i) is the item's share of the whole shop's. A country of few is near to the whole shop, and one of
fewer than `LEAST_SHOPPERS` has no list: it would tell what these few take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from models.decide.scored import Floats, Ints, Scored

LISTED = 500
"""Items of one list: what a request leaves out is filled from what is popular."""
BELIEF = 1000.0
"""Additions that a country must have for half of its list to be its own (docs/decisions/0031)."""
LEAST_SHOPPERS = 10


@dataclass(frozen=True, slots=True)
class Cohorts:
    """A list for each country, best first: rows `items` int32[countries, LISTED], and `scores` float32[countries, LISTED] as
    `Snapshot.logarithmic` has them, 1 for what the whole shop takes most."""

    names: Sequence[str]
    items: Ints
    scores: Floats

    @classmethod
    def of(cls, names: Sequence[str], taken: Sequence[Floats], popularity: Floats) -> Self:
        """Of counts float32[items] of each country's additions, and of the whole shop's."""
        listed = min(LISTED, len(popularity))
        everywhere, total = popularity / max(float(popularity.sum()), 1.0), float(popularity.sum())
        most = np.log1p(popularity.max(initial=1.0))
        items, scores = np.empty((len(names), listed), np.int32), np.empty((len(names), listed), np.float32)
        for row, counts in enumerate(taken):
            share = (counts + BELIEF * everywhere) / (float(counts.sum()) + BELIEF)
            items[row] = np.argsort(-share, kind="stable")[:listed]
            scores[row] = np.log1p(total * share[items[row]]) / most
        return cls(tuple(names), items, scores)

    def moved(self, rows: Ints) -> Self:
        """The same of a catalog whose row `rows[n]` is what row n is here."""
        return replace(self, items=rows[self.items])

    def named(self, name: str | None) -> Scored | None:
        """The country's list; None where it has none."""
        if name is None or name not in self.names:
            return None
        row = self.names.index(name)
        return Scored(self.items[row], self.scores[row])


def no_cohorts() -> Cohorts:
    """Of a shop whose requests name no country."""
    return Cohorts((), np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))

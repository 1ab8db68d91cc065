"""Scores of some items: what one source says of those it knows, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scored:
    """Items int32[n], rows of the catalog, each once, and float32[n] what is said of each."""

    items: Ints
    scores: Floats

    def __len__(self) -> int:
        return len(self.items)

    def among(self, allowed: Mask) -> Scored:
        """Those that `allowed` bool[items] lets pass."""
        kept = allowed[self.items]
        return Scored(self.items[kept], self.scores[kept])

    def best(self, count: int) -> Scored:
        """The `count` greatest that are finite, greatest first, ties by row."""
        real = np.flatnonzero(np.isfinite(self.scores))
        if len(real) > count > 0:
            least = np.partition(self.scores[real], -count)[-count]
            real = real[self.scores[real] >= least]
        order = real[np.lexsort((self.items[real], -self.scores[real]))][: max(count, 0)]
        return Scored(self.items[order], self.scores[order])

    def spread(self, catalog: int) -> Floats:
        """float32[catalog], 0 where nothing is said."""
        found = np.zeros(catalog, np.float32)
        found[self.items] = self.scores
        return found


NOTHING = Scored(np.empty(0, np.int32), np.empty(0, np.float32))


def summed(items: Ints, given: npt.NDArray[Any]) -> Scored:
    """Each item once, ascending, with the sum of what it was given."""
    each, of = np.unique(items, return_inverse=True)
    return Scored(each.astype(np.int32), np.bincount(of, given, len(each)).astype(np.float32))

"""Intervals of means over cases, drawn anew by shopper: a shopper's cases belong together.

The percentile bootstrap of Efron over clusters; a paired difference draws the same shoppers for both models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.evaluation.cases import Ints, Mask
from models.evaluation.metrics import Doubles

RESAMPLES = 1000
LEVEL = 0.95
BATCH = 50


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean (or a difference of means) with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """For JSON, which knows no infinity: None where a bound is none."""
        low, high = (round(bound, 5) if np.isfinite(bound) else None for bound in (self.low, self.high))
        return {"mean": round(self.mean, 5), "low": low, "high": high}


def interval(values: Doubles, shoppers: Ints, seed: int = 0) -> Interval:
    """Of the mean of values float64[n] over cases of shoppers int32[n].

    Raises:
        ValueError: there is no case.
    """
    if not len(values):
        raise ValueError("an interval needs at least one case")
    numbers = np.unique(shoppers, return_inverse=True)[1]
    sums: Doubles = np.bincount(numbers, values).astype(np.float64)
    counts: Doubles = np.bincount(numbers).astype(np.float64)
    if len(sums) == 1:
        return Interval(float(values.mean()), float("-inf"), float("inf"))
    found = _resampled_means(sums, counts, np.random.default_rng(seed))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(ours: Doubles, theirs: Doubles, shoppers: Ints, seed: int = 0) -> Interval:
    """Of the mean of `ours - theirs`, both of the same cases: above 0 where ours is better."""
    return interval(ours - theirs, shoppers, seed)


def where(values: Doubles, shoppers: Ints, mask: Mask, seed: int = 0) -> Interval | None:
    """The interval of a slice; None where it has no case."""
    return interval(values[mask], shoppers[mask], seed) if mask.any() else None


def _resampled_means(sums: Doubles, counts: Doubles, chance: np.random.Generator) -> Doubles:
    means = []
    for start in range(0, RESAMPLES, BATCH):
        drawn = chance.integers(len(sums), size=(min(BATCH, RESAMPLES - start), len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)

"""Chance without state: a number for every (seed, purpose, item, time), for whole arrays at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def units(seed: int, purpose: int, first: Integers, second: Integers) -> Floats:
    """Uniform numbers in [0, 1), one for each pair of `first` and `second` [n].

    Source: SplitMix64's finalizer, Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195.
    """
    with np.errstate(over="ignore"):
        state = _mix(np.full(first.shape, seed, np.uint64) * GOLDEN + np.uint64(purpose))
        for part in (first, second):
            state = _mix(state * GOLDEN + part.astype(np.uint64))
    mantissa = (state >> np.uint64(11)).astype(np.float64)
    return mantissa / float(2**53)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))

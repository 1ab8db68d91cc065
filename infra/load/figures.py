"""Percentiles of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of `count` measurements, in milliseconds; all 0 where nothing was measured."""

    count: int
    p50: float
    p99: float
    max: float


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """Percentiles of durations in seconds."""
    if not seconds:
        return Percentiles(0, 0.0, 0.0, 0.0)
    p50, p99, most = (round(float(value) * 1000, 2) for value in np.percentile(seconds, (50, 99, 100)))
    return Percentiles(len(seconds), p50, p99, most)

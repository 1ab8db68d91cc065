"""The towers' configuration for each public data set, found by hand on its validation: a handful of trainings for each."""

from __future__ import annotations

from collections.abc import Mapping

from models.sequence.fit import Fit
from models.sequence.towers import Shape

FITS: Mapping[str, Fit] = {
    "beauty": Fit(tokens=4096, uniform=2048, patience=8),
    "diginetica": Fit(
        epochs=12,
        tokens=4096,
        learning_rate=0.002,
        cosine=True,
        uniform=1024,
        temperature=0.07,
        shape=Shape(blocks=1, slots=20, dropout=0.15, attributes=False, unit=True),
    ),
    "serenade": Fit(
        uniform=1024, temperature=0.07, shape=Shape(slots=20, dropout=0.35, attributes=False, unit=True)
    ),
}

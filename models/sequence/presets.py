"""The towers' configuration for each public data set, found on its validation."""

from __future__ import annotations

from collections.abc import Mapping

from models.sequence.fit import Fit
from models.sequence.towers import Shape

FITS: Mapping[str, Fit] = {
    "beauty": Fit(tokens=4096, uniform=2048, patience=8),
    "diginetica": Fit(tokens=4096, uniform=1024, shape=Shape(slots=20, dropout=0.3, attributes=False)),
    "serenade": Fit(shape=Shape(slots=20, attributes=False)),
}

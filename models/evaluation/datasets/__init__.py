"""The public data sets under their published protocols; files are read where `BRAID_DATA` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from models.evaluation.cases import Dataset
from models.evaluation.datasets.beauty import read_beauty
from models.evaluation.datasets.diginetica import read_diginetica
from models.evaluation.datasets.serenade import read_serenade

PUBLIC: Mapping[str, Callable[[Path], Dataset]] = {
    "beauty": read_beauty,
    "diginetica": read_diginetica,
    "serenade": read_serenade,
}

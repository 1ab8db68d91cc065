"""Searches that are kept: an evaluation that was broken off goes on where it was, and what did not change is not searched again.

A search stands as long as its plan, its data and the code that it ran are what they were (`var/searches.json`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.reports import provenance, write_report
from contracts.settings import ROOT
from models.evaluation.search import Budget

HARNESS = (
    "search",
    "protocol",
    "cases",
    "ranking",
    "metrics",
    "baskets",
    "methods",
    "shop",
    "shop_baselines",
    "shop_run",
)
BASELINES = ("models/baselines", *(f"models/evaluation/{name}.py" for name in HARNESS))
OURS = ("models",)
Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Searches:
    """The searches of one plan.

    Attributes:
        path: the file that keeps them.
        asked: validation cases that a search looks at; None for all.
    """

    path: Path
    budget: Budget
    asked: int | None

    def kept(self, data: str, method: str, code: Iterable[str], search: Callable[[], Told]) -> Told:
        """What `search` tells, or told when the same search was last made.

        Args:
            data: the data set's name and a digest of it (`named`).
            code: files and folders under the project's root that decide what it finds.
        """
        key = _digest({"data": data, "method": method, "code": digest_of(code), **self._plan()})
        known: dict[str, Told] = json.loads(self.path.read_text()) if self.path.is_file() else {}
        if key not in known:
            made = provenance()
            told = {**search(), "commit": made["commit"]}
            known = json.loads(self.path.read_text()) if self.path.is_file() else {}
            write_report(self.path, {**known, key: told}, default=None)
            return told
        return known[key]

    def _plan(self) -> dict[str, Any]:
        return {"budget": asdict(self.budget), "asked": self.asked}


def named(name: str, *arrays: npt.NDArray[Any]) -> str:
    """The name, and a digest of the arrays."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return f"{name} {total.hexdigest()}"


def digest_of(code: Iterable[str]) -> str:
    """Of the Python files that are named, or lie under what is named."""
    total = hashlib.sha256()
    named = (ROOT / one for one in code)
    for path in sorted(file for one in named for file in ([one] if one.is_file() else one.rglob("*.py"))):
        total.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()

"""Cases of derived features: a row, a request, and the value worked out by hand; one pure function serves and trains."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from contracts.features import DERIVED
from tests.parity.cases import CASES


@dataclass(frozen=True, slots=True)
class DerivedCase:
    """`row` holds stored values by name, `now` a time as cases write it, `request` the other fields of `Request`."""

    feature: str
    name: str
    row: dict[str, Any]
    now: str
    request: dict[str, Any]
    value: Any


def load_derived_cases() -> list[DerivedCase]:
    """Every tests/cases/<derived feature>/<case>/case.json."""
    names = {one.name for one in DERIVED}
    found = sorted(path for path in CASES.glob("*/*/case.json") if path.parent.parent.name in names)
    return [_load(json.loads(path.read_text()), path.parent.parent.name, path.parent.name) for path in found]


def _load(case: dict[str, Any], feature: str, name: str) -> DerivedCase:
    request = dict(case.get("request", {}))
    return DerivedCase(
        feature, name, case.get("row", {}), request.pop("now", "12:00"), request, case["value"]
    )

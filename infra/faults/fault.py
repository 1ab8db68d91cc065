"""A fault as it is written down (`tests/faults/README.md`): edits of a clean day, and what should become of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from contracts.errors import BraidError

REFUSED_RECORD, REFUSED_DAY, KEPT_OUT = "refused_record", "refused_day", "kept_out"
OUTCOMES = (REFUSED_RECORD, REFUSED_DAY, KEPT_OUT)
CAUSES = (
    "volume", "amount", "currency", "clock", "duplicates", "items", "mix", "consent", "identity", "bot", "coverage",
    "rejects", "catalog",
)  # fmt: skip
DEFAULT_DAY = date(2011, 8, 23)


class FaultError(BraidError):
    """A fault cannot be read, or changes nothing."""


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"into": "in"}):
    """What is done to the records that `where` names; see the README for each key."""

    into: str = "events"
    where: dict[str, Any] = {}
    share: float = 1.0
    first: int | None = None
    harmless: bool = False
    set: dict[str, Any] = {}
    drop: list[str] = []
    rename: dict[str, str] = {}
    multiply: dict[str, float] = {}
    shift: dict[str, float] = {}
    remove: bool = False
    repeat: int = 0
    as_new: bool = False
    append: list[dict[str, Any]] = []
    times: int = 1
    every_seconds: float = 0.0
    lines: list[str] = []


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcomes that are right, and what the reason must name."""

    outcome: str | list[str]
    field: str | list[str] = []
    cause: str | list[str] = []

    @property
    def outcomes(self) -> list[str]:
        return _listed(self.outcome)

    @property
    def fields(self) -> list[str]:
        return _listed(self.field)

    @property
    def causes(self) -> list[str]:
        return _listed(self.cause)


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault."""

    name: str
    what: str
    edit: list[Edit]
    expect: Expected
    day: date = DEFAULT_DAY


def read_faults(folder: Path) -> Iterator[Fault]:
    """The faults of a folder, by name.

    Raises:
        FaultError: a file is not in the form; names the file and what is wrong.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            fault = msgspec.json.decode(path.read_bytes(), type=Fault)
        except msgspec.MsgspecError as error:
            raise FaultError(f"{path}: {error}") from error
        wrong = what_is_wrong(fault) or (fault.name != path.stem and f"its name is {fault.name!r}") or None
        if wrong:
            raise FaultError(f"{path}: {wrong}")
        yield fault


def what_is_wrong(fault: Fault) -> str | None:
    """What the form asks beyond types; None where nothing is wrong."""
    expect = fault.expect
    unknown = [one for one in expect.outcomes if one not in OUTCOMES]
    unknown += [one for one in expect.causes if one not in CAUSES]
    if unknown or not expect.outcomes:
        return f"unknown word {unknown or 'nothing'}"
    if REFUSED_RECORD in expect.outcomes and not expect.fields:
        return "refused_record names the field of the reason"
    if REFUSED_DAY in expect.outcomes and not expect.causes:
        return "refused_day names a cause"
    if not fault.edit or any(one.into not in ("events", "catalog") for one in fault.edit):
        return "an edit is in events or in catalog"
    return None


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

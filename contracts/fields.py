"""What a field of the wire is: one declaration, from which every schema derives.

A `Field` says where a value stands in the wire JSON (`path`), its name and type in the flat form that both
strands read, and the rules its value must keep. Times are microseconds since the epoch in the flat form,
money is integer minor units, so that equality between engines is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from contracts.clock import to_micros


class Kind(StrEnum):
    """The type of a field on the wire; see `FLAT_TYPES` for what it becomes."""

    STRING = "string"
    TIME = "time"
    INTEGER = "integer"
    MONEY = "money"


FLAT_TYPES = {Kind.STRING: str, Kind.TIME: int, Kind.INTEGER: int, Kind.MONEY: int}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of one field."""

    field: str
    value: str
    rule: str


@dataclass(frozen=True, slots=True)
class Field:
    """One declared value.

    Attributes:
        name: the column in the flat form.
        path: the keys that lead to it in the wire JSON.
        required: absent or null is a violation.
        choices: the only strings allowed.
        minimum: the least number allowed (minor units for money).
        max_length: the longest string allowed.
    """

    name: str
    kind: Kind
    doc: str
    path: tuple[str, ...] = ()
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int = 256

    @property
    def wire_path(self) -> tuple[str, ...]:
        return self.path or (self.name,)

    @property
    def wire_name(self) -> str:
        return ".".join(self.wire_path)


MAX_INTEGER = 2**53 - 1
RFC3339 = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$")
PLAIN_DECIMAL = re.compile(r"^-?[0-9]{1,14}(\.[0-9]{1,8})?\Z")
NO_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def look_up(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at `path`, None where a key is missing."""
    value: Any = record
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def read_field(
    field: Field, record: Mapping[str, Any], found: list[Violation], prefix: str = ""
) -> str | int | None:
    """The flat value of `field` in `record`; what is wrong with it is appended to `found`."""
    value = look_up(record, field.wire_path)
    if value is None:
        if field.required:
            found.append(Violation(prefix + field.wire_name, "null", "required"))
        return None
    try:
        flat = READERS[field.kind](value)
    except ValueError as error:
        found.append(Violation(prefix + field.wire_name, _shown(value), str(error)))
        return None
    rule = _broken_rule(field, flat)
    if rule:
        found.append(Violation(prefix + field.wire_name, _shown(value), rule))
        return None
    return flat


def _shown(value: object) -> str:
    return str(value)[:200]


def _broken_rule(field: Field, value: str | int) -> str | None:
    if isinstance(value, str):
        return _broken_string_rule(field, value)
    if field.minimum is not None and value < field.minimum:
        return f"at least {field.minimum}"
    maximum = MAX_INTEGER if field.maximum is None else field.maximum
    return f"at most {maximum}" if value > maximum else None


def _broken_string_rule(field: Field, value: str) -> str | None:
    if not value:
        return "not empty"
    if len(value) > field.max_length:
        return f"at most {field.max_length} characters"
    if field.choices and value not in field.choices:
        return "one of " + ", ".join(field.choices)
    return "no control characters" if NO_CONTROL.search(value) else None


def _read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _read_integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("an integer")
    return value


def _read_time(value: Any) -> int:
    if not isinstance(value, str) or not RFC3339.match(value):
        raise ValueError("an RFC 3339 time with its zone")
    try:
        return to_micros(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise ValueError("an RFC 3339 time with its zone") from None


def _read_money(value: Any) -> int:
    """Minor units of a decimal with two places: `"2.55"` is 255. A float has no exact cents and is refused."""
    if not isinstance(value, str):
        raise ValueError('a finite decimal in a string, as "2.55"')
    # Decimal also reads "1e999999", "1_0" and other scripts' digits: none is a price.
    if not PLAIN_DECIMAL.match(value):
        raise ValueError('a finite decimal in a string, as "2.55"')
    amount = Decimal(value)
    minor = amount * 100
    if minor != minor.to_integral_value():
        raise ValueError("at most two decimal places")
    return int(minor)


def money(minor: int) -> str:
    """The wire form of an amount in minor units: 255 is `"2.55"`."""
    return str(Decimal(minor) / 100)


READERS: dict[Kind, Callable[[Any], str | int]] = {
    Kind.STRING: _read_string,
    Kind.INTEGER: _read_integer,
    Kind.TIME: _read_time,
    Kind.MONEY: _read_money,
}

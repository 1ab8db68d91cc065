"""CRM, loyalty programme and questionnaire: rows of users become profile records, one an attribute.

CSV with a header (comma or semicolon) or JSON lines, in one of two shapes: wide (`user_id`, `updated_at` and a column
an attribute) or long (`user_id`, `attribute`, `value`, `effective_time`). A column that `contracts.profiles` does not
declare is bound to no purpose and is not read: it is named once, without its values. An empty cell says nothing; a
null in long JSON erases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from contracts.adapters.pieces import Piece, Row, json_pieces, refusal
from contracts.adapters.values import Unfit, moment, text, whole
from contracts.adapters.wire import NOT_UTF8, Record, Refused, WireDay, by_time, cells, is_utf8, shown
from contracts.errors import SourceError
from contracts.fields import Kind
from contracts.profiles import ATTRIBUTES, SEPARATOR, Attribute

TIMES = ("effective_time", "updated_at")
LONG = ("attribute", "value")
KEYS = ("user_id", *TIMES, *LONG, "purpose")
BOOLEANS = {"true": "yes", "1": "yes", "y": "yes", "false": "no", "0": "no", "n": "no"}


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The profile records of one file."""
    day = WireDay(profiles=[])
    records: list[Record] = []
    for piece in pieces(lines):
        records += piece.profiles
        day.refused.extend(piece.refused)
    return WireDay(refused=day.refused, profiles=by_time(records, "effective_time"))


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """The piece of each row.

    Raises:
        SourceError: it is CSV whose header has no user_id, or neither a time nor an attribute.
    """
    rest = iter(lines)
    first = next(rest, "")
    adapt = _Adapt()
    if first.lstrip("\ufeff \t").startswith(("{", "[")):
        return json_pieces(chain([first], rest), adapt.record)
    return _csv_pieces(first.strip("\ufeff\r\n"), rest, adapt)


def is_header(names: Iterable[str]) -> bool:
    """Whether columns are those of a profile file."""
    found = set(names)
    named = found >= set(LONG) or not found.isdisjoint(ATTRIBUTES)
    return "user_id" in found and not found.isdisjoint(TIMES) and named


def header_of(line: str) -> tuple[list[str], str]:
    """The columns of a CSV header and what separates them."""
    delimiter = ";" if line.count(";") > line.count(",") else ","
    return [name.strip().lower() for name in cells(line, delimiter)], delimiter


def _csv_pieces(header: str, lines: Iterable[str], adapt: _Adapt) -> Iterator[Piece]:
    columns, delimiter = header_of(header)
    if not is_header(columns):
        need = f"user_id, {' or '.join(TIMES)}, and attributes or {' and '.join(LONG)}"
        raise SourceError(f"the header is {header[:200]!r}; a profile file has {need}")
    yield Piece(1, header, refused=adapt.undeclared(columns, 1))
    for number, raw in enumerate(lines, start=2):
        line = raw.rstrip("\r\n")
        if not line:
            continue
        if not is_utf8(line):
            yield refusal(number, NOT_UTF8, shown(line))
            continue
        values = cells(line, delimiter)
        if len(values) != len(columns):
            yield refusal(number, f"{len(values)} columns instead of {len(columns)}", line)
            continue
        row = {name: value for name, value in zip(columns, values, strict=True) if value.strip()}
        try:
            yield adapt.record(row, number, line)
        except Unfit as unfit:
            yield refusal(number, str(unfit), line)


class _Adapt:
    """Rows to profile records; names each column that is not declared once."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def undeclared(self, names: Iterable[str], line: int) -> list[Refused]:
        fresh = [
            name for name in names if name not in KEYS and name not in ATTRIBUTES and name not in self._named
        ]
        self._named.update(fresh)
        return [Refused(line, "attribute not declared, so bound to no purpose", name[:200]) for name in fresh]

    def record(self, row: Row, line: int, original: str) -> Piece:
        user = text(row.get("user_id"))
        if user is None:
            raise Unfit("no user_id")
        at = moment(next((row[name] for name in TIMES if row.get(name) is not None), None))
        if "attribute" in row:
            given = {str(row["attribute"]): row.get("value")}
            shared = {"purpose": row.get("purpose")}
        else:
            given = {name: value for name, value in row.items() if name in ATTRIBUTES and value is not None}
            shared = {}
        piece = Piece(line, original, refused=self.undeclared(row, line))
        for name, value in given.items():
            try:
                piece.profiles.append(
                    {"user_id": user, "attribute": name, "value": _wire(name, value), "effective_time": at}
                    | {key: said for key, said in shared.items() if said is not None}
                )
            except Unfit as unfit:
                piece.refused.append(Refused(line, str(unfit), original))
        return piece


def _wire(name: str, value: Any) -> Any:
    """The value as the contract has it; of an attribute that is not declared as it is, for the door to refuse.

    Raises:
        Unfit: it is not of the attribute's type.
    """
    attribute = ATTRIBUTES.get(name)
    if attribute is None or value is None:
        return value if value is None or isinstance(value, str) else str(value)
    if attribute.many:
        return _several(value, name)
    if attribute.field.kind is Kind.INTEGER:
        return whole(value, name)
    if attribute.field.kind is Kind.TIME:
        return moment(value)
    return _single(attribute, value)


def _several(value: Any, name: str) -> list[str]:
    parts = value.split(SEPARATOR) if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise Unfit(f"{name} is no list")
    return [part for one in parts if (part := text(one)) is not None]


def _single(attribute: Attribute, value: Any) -> str:
    """A text; of a choice in lower case, and a boolean as yes or no."""
    if isinstance(value, Mapping | list):
        raise Unfit(f"{attribute.name} is no text")
    said = str(value).strip()
    if not attribute.field.choices:
        return said
    lower = said.lower()
    return BOOLEANS.get(lower, lower) if "yes" in attribute.field.choices else lower

"""What every source gives for a day: wire events, catalog updates, and the lines it refused."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from contracts.errors import SourceError

Record = dict[str, Any]
DUPLICATE = "exact duplicate"
PRICE = "price not above 0"
NOT_UTF8 = "not UTF-8"


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is no event: its number in the file (the header is 1), the reason, and the line itself."""

    line: int
    reason: str
    original: str


@dataclass(frozen=True, slots=True)
class WireDay:
    """One day of a source, in wire form; events and catalog updates are in the order of their times.

    `profiles` (`contracts.profiles`) is None where the source has none, and empty where that day has none.
    """

    events: list[Record] = field(default_factory=list)
    catalog: list[Record] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    profiles: list[Record] | None = None


class Source(Protocol):
    """A shop whose days can be read; implementations are picklable, so that days can be read in parallel."""

    @property
    def name(self) -> str: ...

    @property
    def made_up(self) -> dict[str, str]:
        """What the source lacks and its adapter invents: name → how."""
        ...

    def days(self) -> list[date]:
        """The first and the last day and those between that have data."""
        ...

    def read_day(self, on: date) -> WireDay:
        """The records of `on`; a closed day is empty.

        Raises:
            SourceError: `on` is outside the source's range, or its file is not in the adapter's form.
        """
        ...


def rows_of(
    lines: Iterable[str], columns: Sequence[str], refused: list[Refused]
) -> Iterator[tuple[int, list[str], str]]:
    """Line number, values and text of each CSV line; repeated and ragged lines go to `refused`.

    Raises:
        SourceError: the header is not `columns`.
    """
    texts = enumerate((line.rstrip("\r\n") for line in lines), start=1)
    _, header = next(texts, (1, ""))
    if header.split(",") != list(columns):
        raise SourceError(f"the header is {header[:200]!r}, not {','.join(columns)!r}")
    for number, text in texts:
        if not is_utf8(text):
            refused.append(Refused(number, NOT_UTF8, shown(text)))
            continue
        values = cells(text)
        if len(values) == len(columns):
            yield number, values, text
        else:
            refused.append(Refused(number, f"{len(values)} columns instead of {len(columns)}", text))


def is_utf8(text: str) -> bool:
    """Whether the bytes that `text` was read from (with `surrogateescape`) were UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """A text whose bytes were not UTF-8, with those bytes as `\\xff`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def cells(text: str, delimiter: str = ",") -> list[str]:
    """The values of one CSV line; none where it cannot be read."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []


def by_time(records: list[Record], key: str) -> list[Record]:
    """Records in the order of their time; wire times have a fixed width, so text order is time order."""
    return sorted(records, key=lambda record: record[key])

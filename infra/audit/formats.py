"""The formats that can be audited, and which one a file is by its look.

Online Retail's lines are taken a day at a time, for its invoices are made of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from contracts.adapters import crm, ga4, online_retail, otto, rees46, segment, snowplow
from contracts.adapters.pieces import Piece, Row, decoded, json_pieces
from contracts.adapters.values import Unfit
from contracts.adapters.wire import cells, shown
from contracts.errors import SourceError
from infra.audit.reading import opened

HEAD_LINES = 20
CALLERS = {"anonymousId", "userId", "messageId"}
CALLS = {"track", "identify", "page", "screen", "group", "alias"}


class Recent:
    """A memory of the last one to two million texts, so that repeats near each other are found in bounded memory."""

    def __init__(self, size: int = 1_000_000) -> None:
        self._size = size
        self._new: set[int] = set()
        self._old: set[int] = set()

    def __contains__(self, text: str) -> bool:
        key = hash(text)
        return key in self._new or key in self._old

    def add(self, text: str) -> None:
        if len(self._new) >= self._size:
            self._new, self._old = set(), self._new
        self._new.add(hash(text))


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be audited.

    Attributes:
        pieces: what its lines give.
        fits: whether a decoded JSON record is one of it; None for CSV with `header`.
    """

    name: str
    what: str
    pieces: Callable[[Iterable[str]], Iterator[Piece]]
    fits: Callable[[Row], bool] | None = None
    header: tuple[str, ...] = ()


def _wire(row: Row, line: int, original: str) -> Piece:
    return Piece(line, original, [dict(row)])


def _invoices(lines: Iterable[str]) -> Iterator[Piece]:
    """Online Retail a day at a time; a file whose days are not together gives an invoice in parts."""
    texts = iter(lines)
    header = next(texts, "")
    online_retail.adapt_day([header])
    for numbered in _by_date(texts):
        found = online_retail.adapt_day([header, *(text for _, text in numbered)])
        before = numbered[0][0] - 2
        refused = [replace(one, line=one.line + before) for one in found.refused]
        yield Piece(numbered[0][0], "", found.events, found.catalog, refused=refused)


def _by_date(texts: Iterable[str]) -> Iterator[list[tuple[int, str]]]:
    """Numbered lines of one date after another; a line whose date cannot be read stays where it stands."""
    current = ""
    day: list[tuple[int, str]] = []
    for number, text in enumerate(texts, start=2):
        values = cells(text)
        on = values[4][:10] if len(values) == len(online_retail.COLUMNS) else current
        if on != current and day:
            yield day
            day = []
        current = on
        day.append((number, text))
    if day:
        yield day


def _has(*keys: str) -> Callable[[Row], bool]:
    return lambda row: row.keys() >= set(keys)


FORMATS = {
    one.name: one
    for one in (
        Format("ga4", "GA4's BigQuery export", ga4.pieces, _has("event_timestamp", "event_name")),
        Format("snowplow", "Snowplow's enriched events", snowplow.pieces, _has("collector_tstamp", "event_id")),
        Format(
            "segment", "Segment's or RudderStack's calls", segment.pieces,
            lambda row: str(row.get("type")) in CALLS and not row.keys().isdisjoint(CALLERS),
        ),
        Format("otto", "OTTO's sessions", otto.pieces, _has("session", "events")),
        Format(
            "wire", "Braid's own wire events", lambda lines: json_pieces(lines, _wire),
            lambda row: row.keys() >= {"event_id", "event_name", "visitor_id"} and "consent_changed_at" not in row,
        ),
        Format("crm", "CRM profiles", crm.pieces, crm.is_header),
        Format("online-retail", "UCI Online Retail", _invoices, header=online_retail.COLUMNS),
        Format("rees46", "REES46's store", lambda lines: rees46.pieces(lines, Recent()), header=rees46.COLUMNS),
    )
}  # fmt: skip


def guess(path: Path) -> Format:
    """The format that most of the first records fit.

    Raises:
        SourceError: none; the message says what was found.
    """
    with opened(path) as lines:
        head = [line for line in islice(lines, HEAD_LINES) if line.strip()]
    rows = [row for line in head if (row := _row(line)) is not None]
    fitting = [(sum(map(one.fits, rows)), one) for one in FORMATS.values() if one.fits is not None]
    best, found = max(fitting, key=lambda pair: pair[0])
    if best:
        return found
    if not rows and head:
        columns, _ = crm.header_of(head[0].strip("\ufeff\r\n"))
        for one in FORMATS.values():
            if one.header and [name.lower() for name in one.header] == columns:
                return one
        if crm.is_header(columns):
            return FORMATS["crm"]
    seen = f"keys {', '.join(sorted(rows[0])[:12])}" if rows else repr(shown("".join(head)[:120]))
    raise SourceError(
        f"{path} begins with {seen}, which is none of our formats: say --as {' | '.join(FORMATS)}"
    )


def _row(line: str) -> Mapping[str, Any] | None:
    try:
        return decoded(line.strip("\ufeff \t\r\n"))
    except Unfit:
        return None

"""The audit itself: every line through its adapter and the door, into the tally."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from contracts.adapters.pieces import REPEATED, Piece
from contracts.adapters.trails import Trails, vouched
from contracts.adapters.wire import Record
from contracts.catalog import read_catalog
from contracts.door import Admitted, admit_record
from contracts.profiles import read_profile
from contracts.rejections import reason_of
from infra.audit.formats import FORMATS, Format, Recent, guess
from infra.audit.reading import opened
from infra.audit.tally import Tally

UNSETTLED = frozenset({"ga4", "segment", "snowplow"})
TOO_LATE = "too_late: received more than 7 days after it happened"
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # of a rejection, which an audit does not keep


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in which files."""

    files: tuple[Path, ...]
    format: Format
    guessed: bool
    vouched: tuple[str, ...]
    tally: Tally
    seconds: float

    @property
    def size(self) -> int:
        """Bytes of the files as they lie."""
        return sum(path.stat().st_size for path in self.files)


class _Auditor:
    """Feeds a tally; remembers event ids and visitors from file to file."""

    def __init__(self, late_horizon: timedelta, unsettled: bool, vouch: tuple[str, ...]) -> None:
        self.tally = Tally()
        self._late_micros = late_horizon // timedelta(microseconds=1)
        self._trails = Trails() if unsettled else None
        self._vouch = vouch
        self._ids = Recent()

    def feed(self, piece: Piece) -> None:
        for refused in piece.refused:
            self.tally.refuse(refused.reason, refused.line, refused.original)
        for event in piece.events:
            self._event(event, piece)
        for update in piece.catalog:
            verdict = read_catalog(update)
            if verdict.event is not None:
                self.tally.count_update(verdict.event)
        for profile in piece.profiles:
            verdict = read_profile(profile)
            if verdict.event is not None:
                self.tally.count_profile(verdict.event)
            else:
                self.tally.refuse(reason_of(verdict.violations), piece.line, piece.text)

    def _event(self, event: Record, piece: Piece) -> None:
        if self._trails is not None:
            event = self._trails.settle(event)
        if self._vouch and isinstance(event.get("consent"), dict):
            event = vouched(event, self._vouch)
        decision = admit_record(event, "audit", str(piece.line), NO_TIME)
        if not isinstance(decision, Admitted):
            self.tally.refuse(decision.reason, piece.line, piece.text or _text(event))
            return
        flat: dict[str, Any] = decision.event
        if flat["event_id"] in self._ids:
            self.tally.refuse(REPEATED, piece.line, piece.text or _text(event))
        elif flat["received_time"] - flat["event_time"] > self._late_micros:
            self.tally.refuse(TOO_LATE, piece.line, piece.text or _text(event))
        else:
            self.tally.count_event(flat)
        self._ids.add(flat["event_id"])


def audit(
    files: Sequence[Path], late_horizon: timedelta, name: str | None = None, vouch: tuple[str, ...] = ()
) -> Audit:
    """Read the files of one export.

    Args:
        name: the format; None: what the first file looks like.
        vouch: purposes that count as granted where nothing was said.

    Raises:
        SourceError: a file cannot be read, or is not in the format.
    """
    started = time.perf_counter()
    chosen = guess(files[0]) if name is None else FORMATS[name]
    auditor = _Auditor(late_horizon, chosen.name in UNSETTLED, vouch)
    for path in files:
        for piece in _pieces(path, chosen, auditor.tally):
            auditor.feed(piece)
    seconds = time.perf_counter() - started
    return Audit(tuple(files), chosen, name is None, vouch, auditor.tally, seconds)


def _pieces(path: Path, chosen: Format, tally: Tally) -> Iterator[Piece]:
    with opened(path) as lines:
        yield from chosen.pieces(lines)
        is_csv = bool(chosen.header) or (chosen.name == "crm" and lines.has_header)
        tally.lines += lines.count - is_csv


def _text(event: Record) -> str:
    return msgspec.json.encode(event).decode()

"""The files of a source: where its days lie, and how they are read.

A day lies in its own file, or all days lie in one. A source that says nothing of when a consent was given is read in the
order of its days (`Adapter.in_order`).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TextIO

from contracts.adapters.made_up import MADE_UP
from contracts.adapters.pieces import Piece, day_of
from contracts.adapters.trails import Trails, vouched
from contracts.adapters.wire import Record, Refused, WireDay, by_time
from contracts.errors import SourceError

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one source's files become wire records.

    Attributes:
        folder: under the data folder.
        get_it: where the data comes from, and in which form it must lie.
        suffixes: of the day files, `YYYY-MM-DD<suffix>`.
        one_file: the name of the one file that holds all days, where the source is not cut into days.
        pieces: what its lines give, where a day is more than its own file: of `one_file`, and of a source whose days
            are settled in their order (`contracts.adapters.trails`).
        has_profiles: it gives profiles beside or instead of events.
    """

    name: str
    folder: str
    adapt_day: Callable[[Iterable[str]], WireDay]
    get_it: str
    suffixes: tuple[str, ...] = (".csv.gz",)
    one_file: str | None = None
    pieces: Callable[[Iterable[str]], Iterator[Piece]] | None = None
    has_profiles: bool = False

    @property
    def in_order(self) -> bool:
        """Whether a day cannot be read without the days before it."""
        return self.pieces is not None and self.one_file is None

    def pieces_of(self, lines: Iterable[str]) -> Iterator[Piece]:
        """What the lines give, one by one."""
        if self.pieces is None:
            raise SourceError(f"{self.name} is read by whole days alone")
        return self.pieces(lines)

    @property
    def layout(self) -> str:
        """What lies in the folder."""
        return self.one_file or " or ".join(f"YYYY-MM-DD{suffix}" for suffix in self.suffixes)


@dataclass(frozen=True, slots=True)
class FileSource:
    """The day files of one adapter in one folder.

    Attributes:
        vouched: purposes that the shop vouches for: what nobody said of them counts as granted.
    """

    adapter: Adapter
    folder: Path
    vouched: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.adapter.name

    @property
    def made_up(self) -> dict[str, str]:
        told = {"consent vouched for": ", ".join(self.vouched)} if self.vouched else {}
        return MADE_UP[self.name] | told

    def days(self) -> list[date]:
        """The days that have a file, in order; of a source in one file those that have an event: a pass over it."""
        if self.adapter.one_file:
            return sorted({day_on(event) for piece in self.whole() for event in piece.events})
        return sorted({date.fromisoformat(path.name[:10]) for path in day_files(self.adapter, self.folder)})

    def read_day(self, on: date) -> WireDay:
        """The records of `on`; a day without a file between two that have one was closed, and is empty.

        Of a source in one file, or one whose days are read in order, it takes a pass over the file, or over the days before.

        Raises:
            SourceError: `on` lies outside the files, or its file is not in the adapter's form.
        """
        if self.adapter.one_file:
            return self._day_of_whole(on)
        if self.adapter.in_order:
            return next(self.read_in_order([on]))
        path = self._path(on)
        if path is None:
            return self.closed(on, self.days())
        with self._lines(path) as lines:
            return self._vouched(self.adapter.adapt_day(lines))

    def read_in_order(self, days: Sequence[date]) -> Iterator[WireDay]:
        """The days, ascending, of a source whose days are read in order.

        Whatever the range, reading begins at the first file: a day depends on the files up to its own alone, so that a
        run that begins later gives the same bytes. Of what happened before the first file nothing is known.

        Raises:
            SourceError: as `read_day`.
        """
        files, trails = self.days(), Trails()
        unread = iter(files)
        for on in days:
            if on not in files:
                yield self.closed(on, files)
                continue
            while (earlier := next(unread)) < on:
                self._settled(earlier, trails)
            yield self._vouched(self._settled(on, trails))

    def whole(self) -> Iterator[Piece]:
        """The pieces of the one file that holds all days, in its order; none of them is kept.

        Raises:
            SourceError: it cannot be read.
        """
        with self._lines(self.folder / str(self.adapter.one_file)) as lines:
            for piece in self.adapter.pieces_of(lines):
                yield replace(piece, events=[self._with_word(event) for event in piece.events])

    def closed(self, on: date, known: Sequence[date]) -> WireDay:
        """The empty day of a source whose days are `known`.

        Raises:
            SourceError: it lies outside of them.
        """
        if not known or not known[0] <= on <= known[-1]:
            held = f"{known[0]} to {known[-1]}" if known else "no day at all"
            raise SourceError(f"{self.name} has no {on}: {self.folder} holds {held}")
        return WireDay(profiles=[] if self.adapter.has_profiles else None)

    def _day_of_whole(self, on: date) -> WireDay:
        """The day's part; what the file refuses has no day and stands with the first."""
        events: list[Record] = []
        refused: list[Refused] = []
        known: set[date] = set()
        for piece in self.whole():
            known.update(map(day_on, piece.events))
            events += (event for event in piece.events if day_on(event) == on)
            refused = refused + piece.refused if min(known, default=on) >= on else []
        if not events:
            return self.closed(on, sorted(known))
        return WireDay(by_time(events, "event_time"), refused=refused if on == min(known) else [])

    def _settled(self, on: date, trails: Trails) -> WireDay:
        path = self._path(on)
        if path is None:
            raise SourceError(f"{self.folder} has lost its file of {on} while it was read")
        with self._lines(path) as lines:
            return day_of(self.adapter.pieces_of(lines), trails)

    def _path(self, on: date) -> Path | None:
        paths = (self.folder / f"{on}{suffix}" for suffix in self.adapter.suffixes)
        return next((path for path in paths if path.is_file()), None)

    def _vouched(self, day: WireDay) -> WireDay:
        return replace(day, events=[self._with_word(event) for event in day.events]) if self.vouched else day

    def _with_word(self, event: Record) -> Record:
        return vouched(event, self.vouched) if self.vouched else event

    @contextmanager
    def _lines(self, path: Path) -> Iterator[TextIO]:
        try:
            with open_text(path) as lines:
                yield lines
        except (SourceError, EOFError, OSError, zlib.error) as error:
            raise SourceError(f"{path}: {error}; {self.adapter.get_it}") from error


def open_text(path: Path) -> TextIO:
    """A file's text, gzip'd or plain; bytes that are not UTF-8 come as lone surrogates, and their lines are refused.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as raw:
        zipped = raw.read(2) == GZIP_MAGIC
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8", errors="surrogateescape", newline="")
    return path.open(encoding="utf-8", errors="surrogateescape", newline="")


def day_files(adapter: Adapter, folder: Path) -> Iterator[Path]:
    """The files of the adapter's form that lie in the folder."""
    for suffix in adapter.suffixes:
        yield from folder.glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]{suffix}")


def day_on(event: Record) -> date:
    """The day of a wire event."""
    return date.fromisoformat(event["event_time"][:10])

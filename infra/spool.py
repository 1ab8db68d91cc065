"""A file that holds all days, in the order of its visitors, cut into days in one pass.

The events lie in between in a folder of their own, a file an hour, each line led by its time; the hours of a day, each
sorted, are its parts. Memory holds `BUFFERED` events while the file is read and then one hour's lines, however long
the file is; on disk lie its events, gzip'd.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

import msgspec

from contracts.adapters.files import FileSource, day_on
from contracts.adapters.wire import Refused, WireDay

BUFFERED = 200_000
PART = 20_000
"""Records of one part."""
TIME = len("2011-01-01T00:00:00.000000Z")
HOUR = len("2011-01-01T00")
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Spool:
    """A source's days, cut; picklable, so that days can be written in parallel.

    Attributes:
        known: the days of the file that have an event, in order.
    """

    source: FileSource
    folder: Path
    known: tuple[date, ...]

    def parts(self, on: date) -> Iterator[WireDay]:
        """The day, part by part in the order of time; what the file refuses has no day and stands with the first.

        Raises:
            SourceError: `on` lies outside the file's days.
        """
        if on not in self.known:
            yield self.source.closed(on, self.known)
            return
        if on == self.known[0]:
            for some in _chunks(_lines(self.folder / REFUSED)):
                yield WireDay(refused=[msgspec.json.decode(line, type=Refused) for line in some])
        for hour in sorted(self.folder.glob(f"{on}T*")):
            # Stable: events of one time stay in the order of the file.
            for some in _chunks(sorted(_lines(hour), key=lambda line: line[:TIME])):
                yield WireDay([msgspec.json.decode(line[TIME:]) for line in some])


def spool(source: FileSource, days: Collection[date], folder: Path) -> Spool:
    """Read the source's one file and cut out `days` into `folder`, which is empty.

    Raises:
        SourceError: the file cannot be read.
    """
    held: defaultdict[str, list[bytes]] = defaultdict(list)
    known: set[date] = set()
    count = 0
    for piece in source.whole():
        for event in piece.events:
            known.add(on := day_on(event))
            if on in days:
                at = event["event_time"]
                held[at[:HOUR]].append(at.encode() + msgspec.json.encode(event))
                count += 1
        held[REFUSED] += map(msgspec.json.encode, piece.refused)
        count += len(piece.refused)
        if count >= BUFFERED:
            _flush(held, folder)
            count = 0
    _flush(held, folder)
    return Spool(source, folder, tuple(sorted(known)))


def _flush(held: defaultdict[str, list[bytes]], folder: Path) -> None:
    """Append what is held to its files; a gzip file may be several, one behind the other."""
    for name, lines in held.items():
        with (folder / name).open("ab") as file:
            file.write(gzip.compress(b"".join(line + b"\n" for line in lines), compresslevel=1))
    held.clear()


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of the folder; none where nothing was put there."""
    if path.is_file():
        with gzip.open(path, "rb") as lines:
            yield from lines


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(lines)
    while some := list(islice(rest, PART)):
        yield some

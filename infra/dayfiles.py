"""Day files: a source's day after the validation at the door, as gzip'd JSON lines of the same bytes each time.

`<days>/<source>/{events,catalog,rejected}/YYYY-MM-DD.jsonl.gz` and `<days>/<source>/counts.json`. Every date of
a range has its three files; a closed day has empty ones. A source of profiles (`crm`) has a fourth, `profiles/`.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import msgspec

from contracts.adapters.wire import Record, Refused, Source, WireDay
from contracts.catalog import read_catalog
from contracts.cuts import Cut
from contracts.door import Admitted, admit_record, reject
from contracts.events import Verdict
from contracts.fields import Violation
from contracts.profiles import read_profile
from contracts.rejections import Rejection

Write = Callable[[Iterable[bytes]], None]
KINDS = ("events", "catalog", "rejected")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record beside events: how it is read, and the keys that name one."""

    name: str
    read: Callable[[object], Verdict]
    keys: tuple[str, ...]


CATALOG = Kind("catalog", read_catalog, ("item_id",))
PROFILES = Kind("profiles", read_profile, ("user_id", "attribute"))


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Records of one day; `rejected` by reason."""

    events: int
    catalog: int
    rejected: dict[str, int]
    profiles: int = 0

    def __add__(self, other: DayCounts) -> DayCounts:
        rejected = Counter(self.rejected) + Counter(other.rejected)
        return DayCounts(
            self.events + other.events,
            self.catalog + other.catalog,
            dict(sorted(rejected.items())),
            self.profiles + other.profiles,
        )


@dataclass(frozen=True, slots=True)
class CheckedDay:
    """A day after the door: encoded flat records of each kind, and what was rejected; no `profiles` where a source has none."""

    events: list[bytes]
    catalog: list[bytes]
    rejected: list[Rejection]
    profiles: list[bytes] | None = None

    @property
    def counts(self) -> DayCounts:
        reasons = Counter(rejection.reason for rejection in self.rejected)
        profiles = len(self.profiles or ())
        return DayCounts(len(self.events), len(self.catalog), dict(sorted(reasons.items())), profiles)


def check_day(wire: WireDay, source: str, on: date) -> CheckedDay:
    """Put a day through the door.

    Rejections of the adapter name the line of the source's file, those of the door the record's id. They are
    dated when the day's cut is published, so that a rerun gives the same bytes.
    """
    at = Cut(on).published_at
    events: list[bytes] = []
    rejected = [_refusal(refused, source, on, at) for refused in wire.refused]
    for record in wire.events:
        raw = msgspec.json.encode(record)
        decision = admit_record(record, f"{source}/events", f"{on}/{record.get('event_id')}", at, raw)
        if isinstance(decision, Admitted):
            events.append(decision.value)
        else:
            rejected.append(decision)
    catalog = _check_all(wire.catalog, CATALOG, source, on, rejected)
    profiles = None if wire.profiles is None else _check_all(wire.profiles, PROFILES, source, on, rejected)
    return CheckedDay(events, catalog, rejected, profiles)


def _refusal(refused: Refused, source: str, on: date, at: datetime) -> Rejection:
    violations = [Violation("", refused.original[:200], refused.reason)]
    rejection = reject(refused.original.encode(), violations, source, f"{on}/{refused.line}", at)
    return msgspec.structs.replace(rejection, reason=refused.reason)


def _check_all(
    records: Iterable[Record], kind: Kind, source: str, on: date, rejected: list[Rejection]
) -> list[bytes]:
    """The encoded flat form of the records that keep their rules; the others go to `rejected`."""
    flat = []
    for record in records:
        verdict = kind.read(record)
        if verdict.event is not None:
            flat.append(msgspec.json.encode(verdict.event))
            continue
        position = "/".join([str(on), *(str(record.get(key)) for key in kind.keys)])
        raw, at = msgspec.json.encode(record), Cut(on).published_at
        rejected.append(reject(raw, verdict.violations, f"{source}/{kind.name}", position, at))
    return flat


def write_day(folder: Path, source: Source, on: date) -> DayCounts:
    """Write the files of one day of `source` under `folder`, each atomically, and return their counts."""
    return write_parts(folder, source.name, on, [source.read_day(on)])


def write_parts(folder: Path, source: str, on: date, parts: Iterable[WireDay]) -> DayCounts:
    """As `write_day`, of a day that comes in parts, one after the other in time: no more than one is held in memory."""
    counts = DayCounts(0, 0, {})
    with ExitStack() as stack:

        def opened(kind: str) -> Write:
            return stack.enter_context(_writing(day_file(folder, source, kind, on)))

        files = {kind: opened(kind) for kind in KINDS}
        for part in parts:
            checked = check_day(part, source, on)
            files["events"](checked.events)
            files["catalog"](checked.catalog)
            files["rejected"](msgspec.json.encode(rejection) for rejection in checked.rejected)
            if checked.profiles is not None:
                files[PROFILES.name] = files.get(PROFILES.name) or opened(PROFILES.name)
                files[PROFILES.name](checked.profiles)
            counts += checked.counts
    return counts


def day_file(folder: Path, source: str, kind: str, on: date) -> Path:
    """Where one kind of record of one day lies."""
    return folder / source / kind / f"{on}.jsonl.gz"


def write_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Replace `path` by the gzip'd lines, atomically; the same lines give the same bytes."""
    with _writing(path) as write:
        write(lines)


def read_lines(path: Path) -> list[Record]:
    """The records of a day file."""
    with gzip.open(path, "rb") as lines:
        return [msgspec.json.decode(line) for line in lines]


def write_counts(folder: Path, source: str, days: Iterable[tuple[date, DayCounts]]) -> None:
    """Put the days' counts into the source's counts.json; days that it holds and are not named stay."""
    path = folder / source / "counts.json"
    known: Mapping[str, object] = json.loads(path.read_text()) if path.is_file() else {}
    merged = {**known, **{on.isoformat(): asdict(counts) for on, counts in days}}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = _fresh(path)
    fresh.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")
    fresh.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[Write]:
    """What appends lines to the gzip'd file that takes the place of `path` at the end, and never where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = _fresh(path)
    # With the window size of gzip and no file name or time in the header.
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    try:
        with fresh.open("wb") as raw:

            def write(lines: Iterable[bytes]) -> None:
                raw.write(packer.compress(b"".join(line + b"\n" for line in lines)))

            yield write
            raw.write(packer.flush())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _fresh(path: Path) -> Path:
    """Several processes may write beside each other: each has its own fresh file."""
    return path.with_name(f".{path.name}.{os.getpid()}")

"""The sources that lie in files: where their days are, which adapter reads them, where to get them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TextIO

from contracts.adapters import crm, ga4, online_retail, otto, rees46, segment, snowplow
from contracts.adapters.made_up import MADE_UP
from contracts.adapters.trails import vouched
from contracts.adapters.wire import WireDay
from contracts.errors import SourceError

CSV, JSON_LINES = ".csv.gz", ".jsonl.gz"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one source's files become wire records.

    Attributes:
        folder: under the data folder.
        get_it: where the data comes from, and in which form it must lie.
        suffixes: of the day files, `YYYY-MM-DD<suffix>`.
        one_file: the name of the one file that holds all days, where the source is not cut into days.
        has_profiles: it gives profiles beside or instead of events.
    """

    name: str
    folder: str
    adapt_day: Callable[[Iterable[str]], WireDay]
    get_it: str
    suffixes: tuple[str, ...] = (CSV,)
    one_file: str | None = None
    has_profiles: bool = False

    @property
    def layout(self) -> str:
        """What lies in the folder."""
        return self.one_file or " or ".join(f"YYYY-MM-DD{suffix}" for suffix in self.suffixes)


ADAPTERS = {
    adapter.name: adapter
    for adapter in (
        Adapter(
            "online-retail",
            "online-retail",
            online_retail.adapt_day,
            "get Online Retail from https://archive.ics.uci.edu/dataset/352/online+retail and write its sheet "
            f"as one file a trading day with the header {','.join(online_retail.COLUMNS)} (UTF-8, "
            "InvoiceDate as YYYY-MM-DD HH:MM:SS)",
        ),
        Adapter(
            "rees46",
            "rees46",
            rees46.adapt_day,
            "get 2019-Oct.csv from https://rees46.com/en/datasets and write it as one file a day with the "
            f"header {','.join(rees46.COLUMNS)}",
        ),
        Adapter(
            "ga4",
            "ga4",
            ga4.adapt_day,
            "export each table events_YYYYMMDD of your GA4 property as newline-delimited JSON "
            "(https://cloud.google.com/bigquery/docs/exporting-data), a file a day",
            (JSON_LINES,),
        ),
        Adapter(
            "segment",
            "segment",
            segment.adapt_day,
            "write the calls of your Segment or RudderStack warehouse or bucket as JSON lines "
            "(https://www.twilio.com/docs/segment/connections/storage/catalog/aws-s3), a file a day",
            (JSON_LINES,),
        ),
        Adapter(
            "snowplow",
            "snowplow",
            snowplow.adapt_day,
            "write your enriched events as JSON lines "
            "(https://docs.snowplow.io/docs/api-reference/analytics-sdk/), a file a day",
            (JSON_LINES,),
        ),
        Adapter(
            "otto",
            "otto",
            otto.adapt_day,
            "get otto-recsys-train.jsonl from https://github.com/otto-de/recsys-dataset",
            one_file="train.jsonl",
        ),
        Adapter(
            "crm",
            "crm",
            crm.adapt_day,
            "write your users' attributes as CSV (https://www.rfc-editor.org/rfc/rfc4180) or JSON lines in the form "
            "that docs/audit.md shows, a file a day of changes",
            (CSV, JSON_LINES),
            has_profiles=True,
        ),
    )
}


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
        """The days that have a file, in order; of a source in one file the days that have an event."""
        if self.adapter.one_file:
            return sorted({date.fromisoformat(event["event_time"][:10]) for event in self._whole().events})
        return sorted(date.fromisoformat(path.name[:10]) for path in _day_files(self.adapter, self.folder))

    def read_day(self, on: date) -> WireDay:
        """The records of `on`; a day without a file between two that have one was closed, and is empty.

        Raises:
            SourceError: `on` lies outside the files, or its file is not in the adapter's form.
        """
        if self.adapter.one_file:
            return self._day_of_whole(on)
        path = next((path for path in self._paths(on) if path.is_file()), None)
        if path is None:
            self._check_closed(on)
            return WireDay(profiles=[] if self.adapter.has_profiles else None)
        return self._vouched(_read(self.adapter, path))

    def _paths(self, on: date) -> Iterator[Path]:
        return (self.folder / f"{on}{suffix}" for suffix in self.adapter.suffixes)

    def _whole(self) -> WireDay:
        return _read(self.adapter, self.folder / str(self.adapter.one_file))

    def _day_of_whole(self, on: date) -> WireDay:
        """The day's part; what the file refuses has no day and stands with the first."""
        day = self._whole()
        events = [event for event in day.events if event["event_time"].startswith(on.isoformat())]
        if not events:
            self._check_closed(on)
        is_first = bool(events) and events[0] == day.events[0]
        return self._vouched(WireDay(events, refused=day.refused if is_first else []))

    def _vouched(self, day: WireDay) -> WireDay:
        if not self.vouched:
            return day
        return replace(day, events=[vouched(event, self.vouched) for event in day.events])

    def _check_closed(self, on: date) -> None:
        days = self.days()
        if not days or not days[0] <= on <= days[-1]:
            known = f"{days[0]} to {days[-1]}" if days else "no day at all"
            raise SourceError(f"{self.name} has no {on}: {self.folder} holds {known}")


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


def has_source(name: str, data: Path | None) -> bool:
    """Whether `data` holds the files of the source."""
    if data is None:
        return False
    adapter = ADAPTERS[name]
    if adapter.one_file:
        return (data / adapter.folder / adapter.one_file).is_file()
    return any(_day_files(adapter, data / adapter.folder))


def open_source(name: str, data: Path | None, vouch: tuple[str, ...] = ()) -> FileSource:
    """The source `name` in the data folder; the shop vouches for the purposes `vouch`.

    Raises:
        SourceError: no such source, or its files are not there.
    """
    if name not in ADAPTERS:
        raise SourceError(f"source {name!r} is not declared; known are {', '.join(sorted(ADAPTERS))}")
    adapter = ADAPTERS[name]
    if data is None or not has_source(name, data):
        where = "BRAID_DATA" if data is None else str(data / adapter.folder)
        raise SourceError(
            f"{name} is not in {where}: {adapter.get_it}, as {adapter.folder}/{adapter.layout} under the "
            "folder that BRAID_DATA names. Without it use the source `simulator`."
        )
    return FileSource(adapter, data / adapter.folder, vouch)


def _day_files(adapter: Adapter, folder: Path) -> Iterator[Path]:
    for suffix in adapter.suffixes:
        yield from folder.glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]{suffix}")


def _read(adapter: Adapter, path: Path) -> WireDay:
    try:
        with open_text(path) as lines:
            return adapter.adapt_day(lines)
    except (SourceError, EOFError, OSError, zlib.error) as error:
        raise SourceError(f"{path}: {error}; {adapter.get_it}") from error

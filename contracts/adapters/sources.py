"""The sources that lie in files: where their days are, which adapter reads them, where to get them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from contracts.adapters import online_retail, rees46
from contracts.adapters.made_up import MADE_UP
from contracts.adapters.wire import WireDay
from contracts.errors import SourceError

SUFFIX = ".csv.gz"


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one source's files become wire records.

    Attributes:
        folder: under the data folder; a file a day, `YYYY-MM-DD.csv.gz`.
        get_it: where the data comes from, and in which form it must lie.
    """

    name: str
    folder: str
    adapt_day: Callable[[Iterable[str]], WireDay]
    get_it: str


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
    )
}


@dataclass(frozen=True, slots=True)
class FileSource:
    """The day files of one adapter in one folder."""

    adapter: Adapter
    folder: Path

    @property
    def name(self) -> str:
        return self.adapter.name

    @property
    def made_up(self) -> dict[str, str]:
        return MADE_UP[self.name]

    def days(self) -> list[date]:
        """The days that have a file, in order."""
        names = (path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))
        return sorted(date.fromisoformat(name) for name in names)

    def read_day(self, on: date) -> WireDay:
        """The records of `on`; a day without a file between two that have one was closed, and is empty.

        Raises:
            SourceError: `on` lies outside the files, or its file is not in the adapter's form.
        """
        path = self.folder / f"{on}{SUFFIX}"
        if not path.is_file():
            self._check_closed(on)
            return WireDay()
        try:
            with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
                return self.adapter.adapt_day(lines)
        except (SourceError, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
            raise SourceError(f"{path}: {error}; {self.adapter.get_it}") from error

    def _check_closed(self, on: date) -> None:
        days = self.days()
        if not days or not days[0] <= on <= days[-1]:
            known = f"{days[0]} to {days[-1]}" if days else "no day at all"
            raise SourceError(f"{self.name} has no {on}: {self.folder} holds {known}")


def has_source(name: str, data: Path | None) -> bool:
    """Whether `data` holds the files of the source."""
    return data is not None and any((data / ADAPTERS[name].folder).glob(f"*{SUFFIX}"))


def open_source(name: str, data: Path | None) -> FileSource:
    """The source `name` in the data folder.

    Raises:
        SourceError: no such source, or its files are not there.
    """
    if name not in ADAPTERS:
        raise SourceError(f"source {name!r} is not declared; known are {', '.join(sorted(ADAPTERS))}")
    adapter = ADAPTERS[name]
    if data is None or not has_source(name, data):
        where = "BRAID_DATA" if data is None else str(data / adapter.folder)
        raise SourceError(
            f"{name} is not in {where}: {adapter.get_it}, as {adapter.folder}/YYYY-MM-DD{SUFFIX} under the "
            "folder that BRAID_DATA names. Without it use the source `simulator`."
        )
    return FileSource(adapter, data / adapter.folder)

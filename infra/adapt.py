"""`python -m infra.adapt SOURCE --from F --to T`: a source's days as validated day files.

A rerun of a day gives the same bytes, whatever the range. Days are adapted in parallel, each from its own file alone;
except that a source which says a consent but not since when (ga4, segment, snowplow) is read in the order of its days,
from its first file on, so that a choice of an earlier day holds and keeps its time; and that a source in one file (otto)
is cut into days in one pass.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts.adapters.files import FileSource
from contracts.adapters.wire import Source
from contracts.cuts import days_between
from contracts.errors import BraidError
from contracts.events import PURPOSES
from contracts.logs import RoomLog
from contracts.settings import from_environment
from infra.dayfiles import DayCounts, write_counts, write_day, write_parts
from infra.simulator.parameters import ShopParameters, add_arguments
from infra.sources import SOURCES, source_named
from infra.spool import Spool, spool

log = RoomLog("infra")

PROGRESS_EVERY_DAYS = 30
Report = Callable[[int, int], None]


def adapt_range(
    folder: Path,
    source: Source,
    days: Sequence[date],
    workers: int = 2,
    report: Report = lambda done, of: None,
) -> dict[date, DayCounts]:
    """Write the files of every day and the counts.

    Args:
        folder: the day files of all sources.
        days: ascending.
        report: called with the number of days done and of all days.
    """
    counts: dict[date, DayCounts] = {}
    with ExitStack() as stack:
        for on, day in zip(days, _written(folder, source, days, workers, stack), strict=True):
            counts[on] = day
            report(len(counts), len(days))
    write_counts(folder, source.name, counts.items())
    return counts


def _written(
    folder: Path, source: Source, days: Sequence[date], workers: int, stack: ExitStack
) -> Iterator[DayCounts]:
    """The counts of each day once its files are written; `stack` ends what that needs."""
    write = partial(write_day, folder, source)
    if isinstance(source, FileSource) and source.adapter.in_order:
        read = zip(days, source.read_in_order(days), strict=True)
        return (write_parts(folder, source.name, on, [day]) for on, day in read)
    if isinstance(source, FileSource) and source.adapter.one_file:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = stack.enter_context(TemporaryDirectory(prefix=f".{source.name}-", dir=folder))
        write = partial(_write_cut, folder, spool(source, frozenset(days), Path(scratch)))
    if workers == 1:
        return map(write, days)
    # Spawned, not forked: the caller may hold threads.
    pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
    return pool.map(write, days, chunksize=4)


def _write_cut(folder: Path, cut: Spool, on: date) -> DayCounts:
    return write_parts(folder, cut.source.name, on, cut.parts(on))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when the source or the range cannot be read."""
    options = _parser().parse_args(arguments)
    settings = from_environment()
    started = time.perf_counter()
    try:
        source = source_named(settings, options.source, ShopParameters.of(options), tuple(options.vouch))
        days = days_between(options.first, options.last)
        counts = adapt_range(options.out or settings.days, source, days, options.workers, _report)
    except BraidError as error:
        log("adapt_failed", source=options.source, error=str(error))
        return 1
    log(
        "adapted",
        source=source.name,
        days=len(days),
        events=sum(day.events for day in counts.values()),
        catalog=sum(day.catalog for day in counts.values()),
        profiles=sum(day.profiles for day in counts.values()),
        rejected=sum(sum(day.rejected.values()) for day in counts.values()),
        seconds=round(time.perf_counter() - started, 1),
    )
    return 0


def _report(done: int, of: int) -> None:
    if done % PROGRESS_EVERY_DAYS == 0:
        log("adapting", done=done, of=of)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra.adapt", description=__doc__)
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, metavar="DATE")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True, metavar="DATE")
    parser.add_argument("--out", type=Path, help="folder of the day files (default: BRAID_VAR/days)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--vouch", action="append", default=[], choices=PURPOSES, metavar="PURPOSE",
        help="the shop has this consent, though the source does not say so (a denial stays one)",
    )  # fmt: skip
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())

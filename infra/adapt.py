"""`python -m infra.adapt SOURCE --from F --to T`: a source's days as validated day files.

A rerun of a day gives the same bytes. Days are adapted in parallel, each from its own file alone.
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

from contracts.adapters.wire import Source
from contracts.cuts import days_between
from contracts.errors import BraidError
from contracts.events import PURPOSES
from contracts.logs import RoomLog
from contracts.settings import from_environment
from infra.dayfiles import DayCounts, write_counts, write_day
from infra.simulator.parameters import ShopParameters, add_arguments
from infra.sources import SOURCES, source_named

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
        report: called with the number of days done and of all days.
    """
    write = partial(write_day, folder, source)
    counts: dict[date, DayCounts] = {}
    with ExitStack() as stack:
        written: Iterator[DayCounts] = map(write, days)
        if workers > 1:
            # Spawned, not forked: the caller may hold threads.
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
            written = pool.map(write, days, chunksize=4)
        for on, day in zip(days, written, strict=True):
            counts[on] = day
            report(len(counts), len(days))
    write_counts(folder, source.name, counts.items())
    return counts


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

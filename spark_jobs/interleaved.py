"""Stream rows of a key with several devices: some interleaving of their events must give the row that was used.

The stream takes one device's events in the order of their offsets, and those of two devices in any order. So a row of n
events is made of the first events of each device, n in all; which, nothing recorded says. All such splits are tried,
the likeliest first; a row that none gives is a difference.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import accumulate, groupby, islice, permutations
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from contracts.accumulators import Row
from contracts.features import View
from spark_jobs.parity import DIFFERENCE, DIFFERENCE_DDL, OFFSET, group_of

SPLITS_TRIED = 20_000
"""A right row is found after a few; beyond them a row counts as different rather than as proven."""

Event = Mapping[str, Any]
Split = tuple[int, ...]
"""How many of each device's events, from its first on."""


def interleaving_differences(view: View, used: DataFrame, events: DataFrame) -> DataFrame:
    """`DIFFERENCE_DDL`: each row that was used, and whether an interleaving of its key's devices gives it.

    Args:
        used: `parity.used_rows` of keys with several devices.
        events: `parity.stream_events` of the view.
    """
    keys = group_of(view)
    pairs = used.groupBy(*keys).cogroup(events.drop("items").groupBy(*keys))
    return pairs.applyInArrow(_judge(view), DIFFERENCE_DDL)


def is_interleaving(view: View, devices: Sequence[Sequence[Event]], used: Mapping[str, Any]) -> bool:
    """Whether the view over the first events of each device, `events_seen` in all, can be what was used.

    Args:
        devices: each device's events in the order of their offsets.
        used: the view's features, `newest_event_time` and `events_seen`.
    """
    newest = [[0, *accumulate((event["event_time"] for event in events), max)] for events in devices]
    wanted = [used[name] for name in view.feature_names]
    return any(
        max(times[n] for times, n in zip(newest, split, strict=True)) == used["newest_event_time"]
        and _values(view, devices, split) == wanted
        for split in islice(splits(devices, used["events_seen"]), SPLITS_TRIED)
    )


def splits(devices: Sequence[Sequence[Event]], count: int) -> Iterator[Split]:
    """Every way to take `count` events, the first ones of each device: as received, then one event after the other
    exchanged between two devices."""
    received = [[(event["received_time"], n) for event in events] for n, events in enumerate(devices)]
    first = Counter(n for _, n in islice(merge(*received), count))
    if first.total() < count:
        return
    waiting = deque([tuple(first[n] for n in range(len(devices)))])
    seen = set(waiting)
    while waiting:
        split = waiting.popleft()
        yield split
        for less, more in permutations(range(len(devices)), 2):
            if split[less] and split[more] < len(devices[more]):
                moved = tuple(n + (d == more) - (d == less) for d, n in enumerate(split))
                if moved not in seen:
                    seen.add(moved)
                    waiting.append(moved)


def _values(view: View, devices: Sequence[Sequence[Event]], split: Split) -> list[Any]:
    row = Row(view.features)
    for events, n in zip(devices, split, strict=True):
        for event in events[:n]:
            row.add(event)
    return row.values()


def _judge(view: View) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """Of one key: its used rows and its events → `DIFFERENCE`; a row that many decisions used is judged once."""
    columns = (*view.feature_names, "newest_event_time", "events_seen")

    def judge(used: pa.Table, events: pa.Table) -> pa.Table:
        devices = _by_device(events.to_pylist())
        verdicts: dict[str, bool] = {}
        found = []
        for row in used.rename_columns({"version_first": "newest_event_time"}).to_pylist():
            shown = json.dumps({name: row[name] for name in columns})
            if shown not in verdicts:
                verdicts[shown] = is_interleaving(view, devices, row)
            expected = f"the first events of {len(devices)} devices"
            found.append((row["decision_id"], verdicts[shown], shown, expected))
        return pa.Table.from_pylist(
            [dict(zip(DIFFERENCE.names, one, strict=True)) for one in found], DIFFERENCE
        )

    return judge


def _by_device(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Each device's events in the order of their offsets."""
    ordered = sorted(events, key=lambda event: (event["visitor_id"], *(event[name] for name in OFFSET)))
    return [list(group) for _, group in groupby(ordered, key=lambda event: event["visitor_id"])]

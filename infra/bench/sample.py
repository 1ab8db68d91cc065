"""Examples drawn from the training set and recomputed one by one: each feature row is the newest that was known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import pyarrow.compute as pc

from contracts.clock import to_micros
from contracts.features import SERVICE_VIEWS, View
from contracts.settings import Settings
from infra.bench.million import EXAMPLES, open_table

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """How many examples were recomputed, how many rows they joined, and in how many examples a feature differs."""

    examples: int
    joined: int
    differences: int


def recompute(settings: Settings, size: int, seed: int = 0) -> Sample:
    """Draw `size` examples and join them anew from the tables, without Feast and without Spark."""
    examples = _drawn(settings, size, seed)
    joined, different = 0, set[str]()
    for view in SERVICE_VIEWS:
        rows = _rows_of(settings, view, examples)
        for example in examples:
            newest = not_withdrawn(
                view, example, newest_known(view, example, rows.get(_key(view, example), ()))
            )
            joined += newest is not None
            wanted = [None if newest is None else newest[name] for name in view.feature_names]
            if wanted != [example[name] for name in view.feature_names]:
                different.add(example["event_id"])
    return Sample(len(examples), joined, len(different))


def newest_known(view: View, example: Row, rows: Iterable[Row]) -> Row | None:
    """The row of the newest choice, then time, known at the example's time, unless it was stale by then."""
    at = example["event_timestamp"]
    oldest = at - timedelta(seconds=view.freshness_seconds)
    known = (row for row in rows if oldest <= row["event_timestamp"] <= at and row["created_timestamp"] <= at)
    return max(known, key=_place, default=None)


def not_withdrawn(view: View, example: Row, row: Row | None) -> Row | None:
    """A row made before the newest withdrawal that was known at the label is none."""
    if row is None or example["withdrawn_at"] is None:
        return row
    made_at = row["consent_changed_at"] if view.starts_empty else to_micros(row["event_timestamp"])
    return row if made_at > example["withdrawn_at"] else None


def _place(row: Row) -> tuple[Any, ...]:
    return (
        row.get("consent_changed_at", 0),
        row["event_timestamp"],
        row["created_timestamp"],
        row.get("events_seen", 0),
    )


def _drawn(settings: Settings, size: int, seed: int) -> Sequence[Row]:
    dataset = open_table(settings, EXAMPLES).to_pyarrow_dataset()
    ids = sorted(dataset.to_table(columns=["event_id"]).column("event_id").to_pylist())
    chosen = Random(seed).sample(ids, min(size, len(ids)))
    found: list[Row] = dataset.to_table(filter=pc.field("event_id").isin(chosen)).to_pylist()
    return found


def _rows_of(settings: Settings, view: View, examples: Iterable[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """The view's rows of the examples' keys."""
    first = view.join_keys[0]
    wanted = sorted({example[first] for example in examples if example[first] is not None})
    dataset = open_table(settings, view.table).to_pyarrow_dataset()
    rows: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in dataset.to_table(filter=pc.field(first).isin(wanted)).to_pylist():
        rows[_key(view, row)].append(row)
    return rows


def _key(view: View, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in view.join_keys)

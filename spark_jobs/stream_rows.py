"""Rows of the stream views, pure: what the stream strand held once an event had arrived, and what it holds of a set.

Events of one group (the view's keys and one choice about consent) in the order of arrival (cut, received_time,
partition, offset); each row of the history aggregates all that had arrived, so a late event changes the rows after it
and none before, and a cut's rows never depend on a later cut. As in the stream, an event later than `session_horizon`
is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.accumulators import Row
from contracts.clock import MICROSECOND
from contracts.feature_sql import spark_expression
from contracts.features import SESSION, SHOPPER, FeatureType, View
from spark_jobs.silver_rows import ARRIVAL

SESSION_DAYS = 3
"""Session horizon and publish delay, in whole days: an older event of the session no longer stands in the stream's state."""
SHOPPER_DAYS = 10
"""The days of `ByDay`, and those by which an event may be late and a cut may follow."""
SPARK_TYPES = {
    FeatureType.INT64: "BIGINT",
    FeatureType.STRING: "STRING",
    FeatureType.STRING_LIST: "ARRAY<STRING>",
}
ARROW_TYPES = {
    FeatureType.INT64: pa.int64(),
    FeatureType.STRING: pa.string(),
    FeatureType.STRING_LIST: pa.list_(pa.string()),
}
EVENT = ("event_id", "event_time", "received_time")
DATES = ("event_on", "cut_on")
Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class History:
    """How a view's history is made: how far back its rows reach, and how many rows a group has at most."""

    view: View
    look_back_days: int
    max_events: int

    @property
    def group(self) -> tuple[str, ...]:
        return (*self.view.join_keys, "consent_changed_at")


def histories(max_events: int) -> tuple[History, ...]:
    """Of the views that training reads; a longer session is a bot's and teaches nothing more."""
    return (History(SESSION, SESSION_DAYS, max_events), History(SHOPPER, SHOPPER_DAYS, 2**62))


def in_time(events: DataFrame, horizon: timedelta) -> DataFrame:
    """The events that the stream's session and shopper views take."""
    return events.where(f"received_time - event_time <= {horizon // MICROSECOND}")


def reached(history: History, first_cut: Column) -> Column:
    """Which events rows from `first_cut` on can depend on; what a shopper asked for holds for ever."""
    recent = F.col("cut_on") >= F.date_sub(first_cut, history.look_back_days)
    return recent if history.view is SESSION else recent | (F.col("event_name") == "preference_set")


def after_each_event(history: History, usable: DataFrame) -> DataFrame:
    """A row after each of a group's first `max_events` events.

    Args:
        usable: in-time events that may be used for personalization, as far back as `reached` says.
    """
    kept = usable.where("cut_on BETWEEN valid_from AND valid_to").drop("valid_from", "valid_to")
    ordered = kept.repartition(*history.group).sortWithinPartitions(*history.group, *ARRIVAL)
    rows = ordered.mapInArrow(_follower(history), _ddl(history))
    return rows.select(
        "event_id",
        *history.view.join_keys,
        *(name for name, _ in history.view.stored_columns),
        F.timestamp_micros("event_time").alias("event_timestamp"),
        F.timestamp_micros("received_time").alias("created_timestamp"),
        *DATES,
    )


def of_set(view: View, events: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The view over all events of each group, by the declared expressions, with its version."""
    return events.groupBy(*keys).agg(
        *(F.expr(spark_expression(feature)) for feature in view.features),
        F.count("*").alias("events_seen"),
        F.max("event_time").alias("newest_event_time"),
    )


def _ddl(history: History) -> str:
    columns = {name: SPARK_TYPES[dtype] for name, dtype in history.view.stored_columns}
    columns |= dict.fromkeys(history.view.join_keys, "STRING")
    columns |= {"event_id": "STRING", "event_time": "BIGINT", "received_time": "BIGINT"}
    columns |= dict.fromkeys(DATES, "DATE")
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def _schema(history: History) -> pa.Schema:
    columns = {name: ARROW_TYPES[dtype] for name, dtype in history.view.stored_columns}
    columns |= dict.fromkeys(history.view.join_keys, pa.string())
    columns |= {"event_id": pa.string(), "event_time": pa.int64(), "received_time": pa.int64()}
    columns |= dict.fromkeys(DATES, pa.date32())
    return pa.schema(list(columns.items()))


def _follower(history: History) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Follows sorted events group by group; a group never spreads over partitions, but may over batches."""

    def follow(batches: Batches) -> Iterator[pa.RecordBatch]:
        names, schema = history.view.feature_names, _schema(history)
        group: tuple[Any, ...] | None = None
        row, seen = Row(history.view.features), 0
        for batch in batches:
            rows = []
            for event in batch.to_pylist():
                key = tuple(event[name] for name in history.group)
                if key != group:
                    group, row, seen = key, Row(history.view.features), 0
                seen += 1
                if seen <= history.max_events:
                    row.add(event)
                    kept = {name: event[name] for name in (*history.group, *EVENT, *DATES)}
                    rows.append(kept | dict(zip(names, row.values(), strict=True)) | {"events_seen": seen})
            yield pa.RecordBatch.from_pylist(rows, schema)

    return follow

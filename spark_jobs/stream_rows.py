"""Rows of the stream views, pure: what the stream strand held once an event had arrived, and what it holds of a set.

Events of one group (the view's keys and one choice about consent) in the order of arrival (cut, received_time,
partition, offset); each row of the history aggregates all that had arrived, so a late event changes the rows after it
and none before, and a cut's rows never depend on a later cut. A row is stamped with the newest event and the latest
receipt among all that it aggregates, never with those of its last event alone: a moment before them must not see it.
As in the stream, a group goes on for as long as its keys and its choice do, and an event later than `session_horizon`
is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.accumulators import Row
from contracts.clock import MICROSECOND
from contracts.feature_sql import spark_expression
from contracts.features import SESSION, SHOPPER, FeatureType, View
from spark_jobs.silver_rows import ARRIVAL

HISTORIES = (SESSION, SHOPPER)
"""The views whose rows training reads."""
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
TIMES = ("newest_event_time", "latest_received_time")
DATES = ("event_on", "cut_on")
Batches = Iterable[pa.RecordBatch]


def in_time(events: DataFrame, horizon: timedelta) -> DataFrame:
    """The events that the stream's session and shopper views take."""
    return events.where(f"received_time - event_time <= {horizon // MICROSECOND}")


def after_each_event(view: View, usable: DataFrame, first: date) -> DataFrame:
    """A row after each event of the cuts from `first` on.

    Args:
        usable: in-time events that may be used for personalization, of all cuts until the last one wanted.
    """
    # No aggregate reads an event's list of items, and handing it to Python is a quarter of the cost.
    kept = usable.where("cut_on BETWEEN valid_from AND valid_to").drop("valid_from", "valid_to", "items")
    group = _group(view)
    active = kept.where(F.col("cut_on") >= F.lit(first)).select(*group).distinct()
    ordered = kept.join(active, list(group), "left_semi").repartition(*group)
    rows = ordered.sortWithinPartitions(*group, *ARRIVAL).mapInArrow(_follower(view, first), _ddl(view))
    return rows.select(
        "event_id",
        *view.join_keys,
        *(name for name, _ in view.stored_columns),
        F.timestamp_micros("newest_event_time").alias("event_timestamp"),
        F.timestamp_micros("latest_received_time").alias("created_timestamp"),
        *DATES,
    )


def of_set(view: View, events: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The view over all events of each group, by the declared expressions, with its version."""
    return events.groupBy(*keys).agg(
        *(F.expr(spark_expression(feature)) for feature in view.features),
        F.count("*").alias("events_seen"),
        F.max("event_time").alias("newest_event_time"),
    )


def _group(view: View) -> tuple[str, ...]:
    return (*view.join_keys, "consent_changed_at")


def _ddl(view: View) -> str:
    columns = {name: SPARK_TYPES[dtype] for name, dtype in view.stored_columns}
    columns |= dict.fromkeys((*view.join_keys, "event_id"), "STRING") | dict.fromkeys(TIMES, "BIGINT")
    columns |= dict.fromkeys(DATES, "DATE")
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def _schema(view: View) -> pa.Schema:
    columns = {name: ARROW_TYPES[dtype] for name, dtype in view.stored_columns}
    columns |= dict.fromkeys((*view.join_keys, "event_id"), pa.string()) | dict.fromkeys(TIMES, pa.int64())
    columns |= dict.fromkeys(DATES, pa.date32())
    return pa.schema(list(columns.items()))


def _follower(view: View, first: date) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Follows sorted events group by group; a group never spreads over partitions, but may over batches."""

    def follow(batches: Batches) -> Iterator[pa.RecordBatch]:
        names, schema, group_of = view.feature_names, _schema(view), _group(view)
        group: tuple[Any, ...] | None = None
        row, seen, newest, latest = Row(view.features), 0, 0, 0
        for batch in batches:
            rows = []
            for event in batch.to_pylist():
                key = tuple(event[name] for name in group_of)
                if key != group:
                    group, row, seen, newest, latest = key, Row(view.features), 0, 0, 0
                row.add(event)
                seen += 1
                newest, latest = max(newest, event["event_time"]), max(latest, event["received_time"])
                if event["cut_on"] >= first:
                    kept = {name: event[name] for name in (*group_of, "event_id", *DATES)}
                    stamped = {"events_seen": seen} | dict(zip(TIMES, (newest, latest), strict=True))
                    rows.append(kept | dict(zip(names, row.values(), strict=True)) | stamped)
            yield pa.RecordBatch.from_pylist(rows, schema)

    return follow

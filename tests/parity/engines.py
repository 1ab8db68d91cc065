"""The engines behind one signature: flat events in the order of arrival → the rows of every view, by key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contracts.columns import CATALOG_COLUMNS, EVENT_COLUMNS, spark_catalog_ddl, spark_event_ddl
from contracts.cuts import Cut
from contracts.features import CONSENT, ITEM, ITEM_TRENDS, SESSION, SHOPPER, USER
from contracts.reference import Known, admitted, item_rows, stream_rows, user_rows, window_rows
from contracts.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Event = Mapping[str, Any]
Rows = dict[tuple[str, ...], dict[str, Any]]
GROUPED = (CONSENT, SESSION, SHOPPER)


def by_reference(
    events: Sequence[Event], catalog: Sequence[Event], cut: Cut, settings: Settings
) -> dict[str, Rows]:
    """`contracts.reference`."""
    known = Known(events, cut, settings)
    rows = {view.name: stream_rows(view, events, settings) for view in GROUPED}
    for view in ITEM_TRENDS:
        rows[view.name] = {
            (item, str(end)): row for (item, end), row in window_rows(view, events, settings).items()
        }
    return rows | {USER.name: user_rows(USER, known), ITEM.name: item_rows(ITEM, known, catalog)}


def by_spark(
    spark: SparkSession, events: Sequence[Event], catalog: Sequence[Event], cut: Cut, settings: Settings
) -> dict[str, Rows]:
    """The jobs' own transforms, from bronze on."""
    from spark_jobs.parity import group_of
    from spark_jobs.parity_rows import cut_views, grouped_views, window_views

    bronze = bronze_of(spark, [*admitted(events, settings)])
    updates = spark.createDataFrame(
        [tuple(u[name] for name in CATALOG_COLUMNS) for u in catalog], spark_catalog_ddl()
    )
    placed = updates.selectExpr(
        "*", "'s' AS source", "0 AS source_partition", "effective_time AS source_offset"
    )
    frames = (
        grouped_views(bronze, settings)
        | window_views(bronze)
        | cut_views(bronze, placed, cut, settings.late_horizon)
    )
    keys = {view.name: group_of(view) for view in (*GROUPED, USER, ITEM)}
    keys |= {view.name: ("item_id", "window_end") for view in ITEM_TRENDS}
    return {name: _rows(frames[name], columns) for name, columns in keys.items()}


def by_topic(records: Iterable[tuple[bytes, bytes]]) -> dict[str, Rows]:
    """The newest record of each key that Flink wrote; of windows each record."""
    rows: dict[str, Rows] = {}
    for key, value in records:
        keys, row = json.loads(key), json.loads(value)
        view = keys.pop("view")
        if "window_end" in row:
            keys["window_end"] = row["window_end"]
        rows.setdefault(view, {})[tuple(str(part) for part in keys.values())] = row
    return rows


def bronze_of(spark: SparkSession, events: Sequence[Event]) -> DataFrame:
    """Placed flat events as bronze holds them."""
    names = (*EVENT_COLUMNS, "source", "source_partition", "source_offset")
    ddl = f"{spark_event_ddl()}, source STRING, source_partition INT, source_offset BIGINT"
    items = [{**event, "source": "kafka:events"} for event in events]
    return spark.createDataFrame([tuple(row[name] for name in names) for row in items], ddl)


def _rows(frame: DataFrame, keys: Sequence[str]) -> Rows:
    found = frame.toArrow().to_pylist()
    return {tuple(str(row[key]) for key in keys): row for row in found}

"""What Flink computes of a view: the description that `braid.flink.ViewRow` makes rows by, and the calls in SQL.

One aggregate function makes all features of a row, so that an event touches the features that count it alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from contracts.columns import FLAT_EVENT_FIELDS
from contracts.feature_sql import COMPUTED_COLUMNS, named_columns
from contracts.features import (
    DAY_MICROS,
    ByDay,
    Count,
    DistinctCount,
    Feature,
    First,
    Last,
    LastK,
    Max,
    Min,
    Sum,
    Switched,
    TopCount,
    TopK,
    View,
)
from contracts.fields import Kind

NUMBERS = {field.name for field in FLAT_EVENT_FIELDS if field.kind is not Kind.STRING} | {"withdrawn_at"}
"""Columns that hold BIGINTs; the others hold text."""
AGGREGATES: dict[type, str] = {
    Count: "count",
    Sum: "sum",
    Min: "min",
    Max: "max",
    DistinctCount: "distinct",
    First: "first",
    Last: "last",
    LastK: "last_k",
    TopK: "top_k",
    TopCount: "top_count",
    ByDay: "by_day",
    Switched: "switched",
}


def row_call(view: View, features: Sequence[Feature]) -> str:
    """The aggregate call that gives the view's row as JSON: `newest_event_time`, `events_seen`, then the features."""
    columns = (_sql_of(column) for column in columns_of(features))
    return f"{view.name}_row({', '.join(('event_name', 'event_time', 'event_id', *columns))})"


def record_call(view: View, row: str, keys: Sequence[str]) -> str:
    """The call that puts the keys before a row's features."""
    return f"{view.name}_record({', '.join((row, *keys))})"


def view_spec(keys: Sequence[str], features: Sequence[Feature], cut_end_micros: int | None = None) -> str:
    """What `braid.flink.ViewSpec` reads, as JSON.

    Args:
        keys: the columns of the row's key, in the order of `record_call`.
        cut_end_micros: the end of the cut, for features over trailing days.

    Raises:
        ValueError: a feature needs a cut and none is given, or it is not an aggregate of one entity's events.
    """
    columns = columns_of(features)
    described = [_described(feature, columns, cut_end_micros) for feature in features]
    types = ["BIGINT" if column in NUMBERS else "STRING" for column in columns]
    spec = {"keys": list(keys), "columns": types, "features": described}
    return json.dumps(spec, separators=(",", ":"))


def columns_of(features: Sequence[Feature]) -> list[str]:
    """Every column that the features aggregate, switch by or ask for, in a fixed order."""
    return sorted({column for feature in features for column in named_columns(feature)})


def _sql_of(column: str) -> str:
    return COMPUTED_COLUMNS[column][1] if column in COMPUTED_COLUMNS else column


def _described(feature: Feature, columns: Sequence[str], cut_end_micros: int | None) -> dict[str, Any]:
    aggregate = feature.aggregate
    if type(aggregate) not in AGGREGATES:
        raise ValueError(f"{feature.name} is {aggregate}, not an aggregate of one entity's events")
    described: dict[str, Any] = {
        "name": feature.name,
        "aggregate": AGGREGATES[type(aggregate)],
        "events": list(feature.events),
        "where": [[columns.index(column), value] for column, value in feature.where],
    }
    if (column := getattr(aggregate, "column", None)) is not None:
        described["column"] = columns.index(column)
    if (size := getattr(aggregate, "k", getattr(aggregate, "days", None))) is not None:
        described["size"] = size
    if isinstance(aggregate, Switched):
        described |= {
            "switch": columns.index(aggregate.switch),
            "on": aggregate.on,
            "clears": aggregate.clears,
        }
    if feature.days:
        if cut_end_micros is None:
            raise ValueError(f"{feature.name} looks back {feature.days} days and needs a cut")
        described["from"] = cut_end_micros - feature.days * DAY_MICROS
    return described

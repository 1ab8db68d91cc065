"""The SQL of a declared feature, for Spark and for Flink.

Both engines read the same text but for `LastK`: Flink calls the bounded aggregate `last_k` of
infra/jars/flink, Spark sorts the collected rows. `event_time` is an integer of microseconds in both.
"""

from __future__ import annotations

from enum import StrEnum

from contracts.features import Count, Feature, LastK, Max, Min, Sum


class Engine(StrEnum):
    SPARK = "spark"
    FLINK = "flink"


DAY_MICROS = 24 * 3600 * 1_000_000


def expression(feature: Feature, engine: Engine, cut_end_micros: int | None = None) -> str:
    """`<aggregate> AS <name>` over flat events.

    Args:
        cut_end_micros: the end of the cut, for features over trailing days.

    Raises:
        ValueError: the feature needs a cut and none is given, or it is not an aggregate of events.
    """
    return f"{_aggregate(feature, engine, condition(feature, cut_end_micros))} AS {feature.name}"


def condition(feature: Feature, cut_end_micros: int | None) -> str:
    """Which events the feature aggregates, in SQL; empty means all."""
    parts = []
    if feature.events:
        names = ", ".join(f"'{name}'" for name in feature.events)
        parts.append(f"event_name IN ({names})")
    if feature.days:
        if cut_end_micros is None:
            raise ValueError(f"{feature.name} looks back {feature.days} days and needs a cut")
        parts.append(f"event_time >= {cut_end_micros - feature.days * DAY_MICROS}")
    if isinstance(feature.aggregate, LastK):
        parts.append(f"{feature.aggregate.column} IS NOT NULL")
    return " AND ".join(parts)


def _aggregate(feature: Feature, engine: Engine, condition: str) -> str:
    only = f" FILTER (WHERE {condition})" if condition else ""
    match feature.aggregate:
        case Count():
            return f"COUNT(*){only}"
        case Sum(column):
            return f"COALESCE(SUM({column}){only}, 0)"
        case Min(column):
            return f"MIN({column}){only}"
        case Max(column):
            return f"MAX({column}){only}"
        case LastK(column, k):
            return _last_k(column, k, engine, only)
        case other:
            raise ValueError(f"{feature.name} is {other}, not an aggregate of events")


def _last_k(column: str, k: int, engine: Engine, only: str) -> str:
    if engine is Engine.FLINK:
        return f"last_k({column}, event_time, event_id, {k}){only}"
    rows = f"collect_list(struct(event_time, event_id, {column} AS value)){only}"
    return f"transform(slice(sort_array({rows}, false), 1, {k}), row -> row.value)"

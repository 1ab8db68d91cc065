"""The SQL of a declared feature for Spark. `event_time` is an integer of microseconds.

There are three expressions (`SparkParts`), because a day's events aggregate once and days merge at each cut: `collect`
aggregates events, `merge` aggregates what several `collect`s gave, `finish` makes the value of either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.consent import withdrawn_sql
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
    Source,
    Sum,
    Switched,
    TopCount,
    TopK,
)

# Columns that no event carries: in Spark's SQL, in Flink's, and what they are made of.
COMPUTED_COLUMNS = {
    "event_hour": (
        "CAST(pmod(event_time div 3600000000, 24) AS STRING)",
        "CAST(MOD(event_time / 3600000000, 24) AS STRING)",
        ("event_time",),
    ),
    "session_key": (
        "CONCAT(visitor_id, '|', session_id)",
        "CONCAT(visitor_id, '|', session_id)",
        ("visitor_id", "session_id"),
    ),
    # When, then what, one a line: no id holds a line's end.
    "named_at": (
        "CONCAT(CAST(event_time AS STRING), CHR(10), named_items)",
        "CONCAT(CAST(event_time AS STRING), CHR(10), named_items)",
        ("event_time", "named_items"),
    ),
    "withdrawn_at": (withdrawn_sql(), withdrawn_sql(), ("consent_personalization", "consent_changed_at")),
}


def event_columns(features: Iterable[Feature]) -> set[str]:
    """The columns of events that the features read beside `event_name`, `event_time` and `event_id`."""
    read: set[str] = set()
    for feature in features:
        if feature.source is Source.CATALOG:
            continue
        read |= named_columns(feature)
    return {part for column in read for part in _made_of(column)}


def named_columns(feature: Feature) -> set[str]:
    """What the feature aggregates, switches by or asks for, computed columns by their own name."""
    named = {getattr(feature.aggregate, name, None) for name in ("column", "switch")}
    return {column for column in named if column is not None} | {column for column, _ in feature.where}


def _made_of(column: str) -> tuple[str, ...]:
    return COMPUTED_COLUMNS[column][2] if column in COMPUTED_COLUMNS else (column,)


@dataclass(frozen=True, slots=True)
class SparkParts:
    """`merge` and `finish` are written over the column `name` that `collect` gave."""

    collect: str
    merge: str
    finish: str


def spark_expression(feature: Feature, cut_end_micros: int | None = None) -> str:
    """`<aggregate> AS <name>` over flat events.

    Args:
        cut_end_micros: the end of the cut, for features over trailing days.

    Raises:
        ValueError: the feature needs a cut and none is given, or it is not an aggregate of one entity's events.
    """
    parts = spark_parts(feature, "it", cut_end_micros)
    return f"{_let('it', parts.collect, parts.finish)} AS {feature.name}"


def condition(feature: Feature, cut_end_micros: int | None) -> str:
    """Which events the feature aggregates, in SQL that Spark and Flink read; empty means all."""
    parts = []
    if feature.events:
        names = ", ".join(f"'{name}'" for name in feature.events)
        parts.append(f"event_name IN ({names})")
    parts += [f"{column} = '{value}'" for column, value in feature.where]
    if feature.days:
        if cut_end_micros is None:
            raise ValueError(f"{feature.name} looks back {feature.days} days and needs a cut")
        time = "effective_time" if feature.source is Source.CATALOG else "event_time"
        parts.append(f"{time} >= {cut_end_micros - feature.days * DAY_MICROS}")
    return " AND ".join(parts)


def spark_parts(feature: Feature, name: str, cut_end_micros: int | None = None) -> SparkParts:
    """The three expressions; `collect` reads events, the others the column `name`.

    Conditions are CASEs rather than FILTERs, which Spark does not know in windows.

    Raises:
        ValueError: as `spark_expression`.
    """
    only = condition(feature, cut_end_micros)

    def kept(sql: str) -> str:
        return f"CASE WHEN {only} THEN {sql} END" if only else sql

    match feature.aggregate:
        case Count(column):
            counted = kept("1" if column is None else _spark_column(column))
            return SparkParts(f"COUNT({counted})", f"COALESCE(SUM({name}), 0)", name)
        case Sum(column):
            return SparkParts(
                f"COALESCE(SUM({kept(_spark_column(column))}), 0)", f"COALESCE(SUM({name}), 0)", name
            )
        case Min(column):
            return SparkParts(f"MIN({kept(_spark_column(column))})", f"MIN({name})", name)
        case Max(column):
            return SparkParts(f"MAX({kept(_spark_column(column))})", f"MAX({name})", name)
        case DistinctCount(column):
            collect = f"collect_set({kept(_spark_column(column))})"
            finish = f"CAST(size(array_distinct({name})) AS BIGINT)"
            return SparkParts(collect, _flattened(name), finish)
        case First(column):
            collect = f"MIN({_placed(column, only)})"
            return SparkParts(collect, f"MIN({name})", f"{name}.value")
        case Last(column):
            collect = f"MAX({_placed(column, only)})"
            return SparkParts(collect, f"MAX({name})", f"{name}.value")
        case LastK(column, k):
            newest = f"slice(sort_array({{}}, false), 1, {k})"
            collect = newest.format(f"collect_list({_placed(column, only)})")
            values = f"transform({newest.format(name)}, row -> row.value)"
            return SparkParts(collect, _flattened(name), _null_if_empty(values, name))
        case TopK(column, k):
            top = f"transform(slice({_by_frequency(name)}, 1, {k}), row -> row.value)"
            return SparkParts(
                _counted(kept(_spark_column(column))), _flattened(name), _null_if_empty(top, name)
            )
        case TopCount(column):
            most = f"COALESCE(-element_at({_by_frequency(name)}, 1).less, 0)"
            finish = f"CASE WHEN size({name}) = 0 THEN 0 ELSE {most} END"
            return SparkParts(_counted(kept(_spark_column(column))), _flattened(name), finish)
        case ByDay(days, column):
            n = kept("1" if column is None else _spark_column(column))
            day = "CAST(timestamp_micros(event_time) AS DATE)"
            return SparkParts(
                f"collect_list(struct({day} AS day, {n} AS n))", _flattened(name), _spark_by_day(name, days)
            )
        case Switched(column, switch, on, clears, k):
            value = f"IF({switch} = '{clears}', '', {column})"
            row = f"struct({value} AS value, event_time, event_id, {switch} = '{on}' AS on)"
            case_row = f"CASE WHEN {_and(only, f'{column} IS NOT NULL')} THEN {row} END"
            return SparkParts(f"collect_list({case_row})", _flattened(name), _spark_switched(name, k))
        case other:
            raise ValueError(f"{feature.name} is {other}, not an aggregate of one entity's events")


def _spark_column(column: str) -> str:
    return COMPUTED_COLUMNS[column][0] if column in COMPUTED_COLUMNS else column


def _and(*conditions: str) -> str:
    return " AND ".join(part for part in conditions if part)


def _placed(column: str, only: str) -> str:
    """A value with its place in the order of events; null where the event does not count."""
    sql = _spark_column(column)
    row = f"struct(event_time, event_id, {sql} AS value)"
    return f"CASE WHEN {_and(only, f'{sql} IS NOT NULL')} THEN {row} END"


def _flattened(name: str) -> str:
    return f"flatten(collect_list({name}))"


def _null_if_empty(values: str, name: str) -> str:
    return f"CASE WHEN size({name}) > 0 THEN {values} END"


def _counted(sql: str) -> str:
    """Values with how often each occurs, so that a day's part is no longer than its different values."""
    rows = f"transform(collect_list({sql}), v -> struct(v AS value))"
    return _let("sorted", f"sort_array({rows})", _runs("struct(run.value AS value, run.until - run.at AS n)"))


def _let(name: str, sql: str, body: str) -> str:
    """`body` with `name` for the value of `sql`, which is worked out once."""
    return f"element_at(transform(array({sql}), {name} -> {body}), 1)"


def _by_frequency(name: str) -> str:
    """Distinct values, most frequent first, then by value: `less` is minus the frequency."""
    total = "aggregate(slice(sorted, run.at + 1, run.until - run.at), 0L, (sum, row) -> sum + row.n)"
    counts = _runs(f"struct(-{total} AS less, run.value AS value)")
    return _let("sorted", f"sort_array({name})", f"sort_array({counts})")


def _runs(body: str) -> str:
    """`body` for each `run` of one value in `sorted`: its `value`, the place `at` of its first row and `until`, that after its last.

    A sort and one pass: a reseller's thousands of items are not held against each other.
    """
    places = "transform(sorted, (row, n) -> struct(row.value AS value, n AS at))"
    starts = f"filter({places}, run -> run.at = 0 OR get(sorted, run.at - 1).value <> run.value)"
    until = "COALESCE(get(starts, n + 1).at, size(sorted)) AS until"
    runs = _let(
        "starts", starts, f"transform(starts, (run, n) -> struct(run.value AS value, run.at AS at, {until}))"
    )
    return f"transform({runs}, run -> {body})"


def _spark_by_day(name: str, days: int) -> str:
    within = f"filter({name}, row -> row.n IS NOT NULL AND row.day > date_sub(newest, {days}))"
    kept = _let("newest", f"array_max(transform({name}, row -> row.day))", within)
    sums = (
        "transform(sort_array(array_distinct(transform(kept, row -> row.day)), false), d -> struct(d AS day, "
        "aggregate(filter(kept, row -> row.day = d), 0L, (sum, row) -> sum + row.n) AS n))"
    )
    entries = f"transform(filter({sums}, row -> row.n > 0), row -> concat(CAST(row.day AS STRING), '=', CAST(row.n AS STRING)))"
    return f"nullif({_let('kept', kept, entries)}, CAST(array() AS ARRAY<STRING>))"


def _spark_switched(name: str, k: int) -> str:
    values = f"array_distinct(transform({name}, row -> row.value))"
    newest = (
        f"transform({values}, v -> array_max(transform(filter({name}, row -> row.value = v), "
        "row -> struct(row.event_time, row.event_id, row.value, row.on))))"
    )
    last = f"slice(sort_array({newest}, false), 1, {k})"
    cleared = f"array_position(transform({last}, row -> row.value), '')"
    since = f"IF({cleared} > 0, slice({last}, 1, CAST({cleared} - 1 AS INT)), {last})"
    kept = f"filter({since}, row -> row.on)"
    return f"nullif(transform({kept}, row -> row.value), CAST(array() AS ARRAY<STRING>))"

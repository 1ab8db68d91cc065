"""Rules and measures made from the declarations: every field of the wire, every stored feature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.catalog import CATALOG_FIELDS
from contracts.events import EVENT_FIELDS, ITEM_FIELDS
from contracts.expectations.rules import CATALOG, EVENTS, INGEST, ONLINE, Measure, Rule
from contracts.expectations.trends import factor, judged, lost, thinner
from contracts.features import (
    ITEM,
    USER,
    ByDay,
    CoVisited,
    Feature,
    FeatureType,
    LastK,
    Switched,
    TopK,
    View,
)
from contracts.fields import Field, Kind

SCALE_FACTOR = 4
"""By how much the geometric mean of a number may move from one day to the next before its unit is doubted."""
GOLD_VIEWS = (USER, ITEM)
"""Whose tables have a row an entity and cut."""


def broken(field: Field, value: str) -> str:
    """SQL: what `contracts.fields` refuses at the door, of the flat value."""
    found = [f"{value} IS NULL"] if field.required else []
    if field.kind is Kind.STRING:
        found.append(f"{value} = ''")
        found.append(f"length({value}) > {field.max_length}")
    if field.choices:
        names = ", ".join(f"'{choice}'" for choice in field.choices)
        found.append(f"{value} NOT IN ({names})")
    if field.minimum is not None:
        found.append(f"{value} < {field.minimum}")
    if field.maximum is not None:
        found.append(f"{value} > {field.maximum}")
    return " OR ".join(found)


def field_rules() -> Iterator[Rule]:
    """A rule a declared field that has something to break."""
    for prefix, fields in (("event", EVENT_FIELDS), ("item", ITEM_FIELDS), ("catalog", CATALOG_FIELDS)):
        table = CATALOG if prefix == "catalog" else EVENTS
        for field in fields:
            violation = _violation(prefix, field)
            if violation:
                doc = f"{field.doc}: as contracts declares `{field.wire_name}`"
                yield Rule(f"{prefix}_{field.name}", INGEST, doc, table, _cause(field), violation)


def _violation(prefix: str, field: Field) -> str:
    if prefix != "item":
        return broken(field, field.name)
    inner = broken(field, f"item.{field.name}")
    return inner and f"exists(items, item -> {inner})"


def _cause(field: Field) -> str:
    if field.name.startswith("consent_"):
        return "consent"
    if field.name == "currency":
        return "currency"
    return {Kind.TIME: "clock", Kind.STRING: "coverage"}.get(field.kind, "amount")


def field_measures() -> Iterator[Measure]:
    """How often each optional field is filled, and how large each number is (mean of ln(1 + |x|))."""
    for table, fields, value in _measured():
        for field in fields:
            if not field.required:
                yield Measure(
                    share_name(table, field, value),
                    INGEST,
                    table,
                    f"AVG(IF({_at(value, field)} IS NULL, 0D, 1D))",
                )
            if field.kind in (Kind.INTEGER, Kind.MONEY):
                yield Measure(
                    log_name(table, field, value),
                    INGEST,
                    table,
                    f"AVG(LN(1 + ABS(CAST({_at(value, field)} AS DOUBLE))))",
                )


def _measured() -> tuple[tuple[str, tuple[Field, ...], str], ...]:
    """Tables, their fields, and where these stand; of an event's items the first one speaks."""
    return ((EVENTS, EVENT_FIELDS, ""), (EVENTS, ITEM_FIELDS, "item"), (CATALOG, CATALOG_FIELDS, ""))


def _at(value: str, field: Field) -> str:
    return f"get(items, 0).{field.name}" if value else field.name


def share_name(table: str, field: Field, value: str) -> str:
    """The measure: the share of the rows that have the field."""
    return f"{table}.share.{value and value + '.'}{field.name}"


def log_name(table: str, field: Field, value: str) -> str:
    """The measure: the mean logarithm of the field."""
    return f"{table}.log.{value and value + '.'}{field.name}"


def field_trends() -> Iterator[Rule]:
    """A table's fields against the days before: none lost, none in another unit."""
    for table, prefix in ((EVENTS, "event"), (CATALOG, "catalog")):
        names = [measure.name for measure in field_measures() if measure.table == table]
        shares = [name for name in names if name.startswith(f"{table}.share.")]
        logs = [name for name in names if name.startswith(f"{table}.log.")]
        yield Rule(
            f"{prefix}_fields_lost",
            INGEST,
            "No field that used to be filled is all but empty",
            table,
            "coverage",
            number=judged(lost(*shares), table),
        )
        yield Rule(f"{prefix}_fields_thinner", INGEST, "No field is filled far less often than the days before can explain",
                   table, "coverage", number=judged(thinner(*shares), table))  # fmt: skip
        yield Rule(f"{prefix}_scale", INGEST, f"No number is {SCALE_FACTOR} times as large or small as usual", table,
                   "amount", number=judged(factor(*logs), table), allowed=SCALE_FACTOR)  # fmt: skip


def feature_rules(views: Iterable[View] = GOLD_VIEWS) -> Iterator[Rule]:
    """A rule a stored feature of the tables with a row an entity and cut."""
    for view in views:
        keys = " OR ".join(f"{key} IS NULL OR {key} = ''" for key in view.join_keys)
        yield Rule(f"{view.name}_key_missing", ONLINE, "Every row has its key", view.table, "identity", keys)
        for feature in view.features:
            violation = broken_feature(feature)
            if violation:
                doc = f"{feature.description}: as contracts.features declares it"
                yield Rule(feature.name, ONLINE, doc, view.table, "features", violation)


def broken_feature(feature: Feature) -> str:
    """SQL: what no aggregate of events before the cut can be; "" where anything can be."""
    name, found = feature.name, []
    if feature.default is not None:
        found.append(f"{name} IS NULL")
    if feature.dtype is FeatureType.INT64:
        found.append(f"{name} < 0")
        if name.endswith("_at"):
            found.append(f"{name} > unix_micros(event_timestamp)")
    longest = _longest(feature)
    if longest is not None:
        found.append(f"size({name}) > {longest} OR exists({name}, one -> one IS NULL)")
    return " OR ".join(found)


def _longest(feature: Feature) -> int | None:
    match feature.aggregate:
        case LastK(_, k) | TopK(_, k) | Switched(_, _, _, _, k) | CoVisited(k, _):
            return k
        case ByDay(days, _):
            return days
        case _:
            return None

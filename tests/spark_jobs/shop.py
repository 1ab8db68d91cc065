"""A tiny shop for the batch tests: flat events and catalog updates by hand, as rows or as day files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from contracts.catalog import CATALOG_FIELDS
from contracts.clock import to_micros
from contracts.columns import CATALOG_COLUMNS, EVENT_COLUMNS, ITEM_COLUMNS, spark_event_ddl
from contracts.features import USER, FeatureType
from spark_jobs import silver_rows

SOURCE = "hand"
GRANTED = {f"consent_{p}": "granted" for p in ("analytics", "personalization", "ads", "email", "push")}
DENIED = {**GRANTED, "consent_personalization": "denied"}


def at(text: str) -> int:
    """`08-01 10:00` of 2011, as microseconds."""
    return to_micros(datetime.strptime(f"2011-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC))


def event(event_id: str, when: str, name: str = "view_item", **fields: Any) -> dict[str, Any]:
    """A flat event of visitor v1 in session s1, granted all since 2011-01-01, received when it happened."""
    moment = at(when)
    base = dict.fromkeys(EVENT_COLUMNS) | GRANTED
    base |= {"event_id": event_id, "event_name": name, "schema_version": "1", "event_time": moment}
    base |= {"received_time": moment, "visitor_id": "v1", "session_id": "s1", "platform": "web", "items": []}
    base |= {"consent_changed_at": at("01-01 00:00"), "item_count": 0, "pieces": 0, "value_minor": 0}
    if fields.get("item_id"):
        base["items"] = [dict.fromkeys(ITEM_COLUMNS) | {"item_id": fields["item_id"]}]
    return base | fields


def update(item_id: str, when: str, price_minor: int, **fields: Any) -> dict[str, Any]:
    """A flat catalog update."""
    base: dict[str, Any] = dict.fromkeys(field.name for field in CATALOG_FIELDS)
    base |= {"item_id": item_id, "title": f"Item {item_id}", "price_minor": price_minor, "currency": "GBP"}
    return base | {"availability": "in_stock", "effective_time": at(when)} | fields


def bronze(spark: SparkSession, events: list[dict[str, Any]]) -> DataFrame:
    """Events as bronze rows of one Kafka partition, in the order given."""
    ddl = f"{spark_event_ddl()}, source STRING, source_partition INT, source_offset BIGINT"
    names = (*EVENT_COLUMNS, "source", "source_partition", "source_offset")
    placed = (
        e | {"source": "kafka:events", "source_partition": 0, "source_offset": n}
        for n, e in enumerate(events)
    )
    return spark.createDataFrame([tuple(row[name] for name in names) for row in placed], ddl)


def silver(spark: SparkSession, events: list[dict[str, Any]]) -> DataFrame:
    """Events as silver rows: each its own cut, nothing known before."""
    placed = silver_rows.with_cut(bronze(spark, events), timedelta(hours=2))
    return silver_rows.with_identity(placed, None)


def write_days(
    days: Path, first: date, last: date, events: list[dict[str, Any]], catalog: list[dict[str, Any]]
) -> None:
    """Day files of `SOURCE` for every date of the range; a record stands in the file of its own time's date."""
    for n in range((last - first).days + 1):
        on = first + timedelta(days=n)
        kinds = {
            "events": [e for e in events if _day(e["received_time"]) == on],
            "catalog": [
                {name: c[name] for name in CATALOG_COLUMNS}
                for c in catalog
                if _day(c["effective_time"]) == on
            ],
            "rejected": [],
        }
        for kind, records in kinds.items():
            path = days / SOURCE / kind / f"{on}.jsonl.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode(), mtime=0))


def _day(micros: int) -> date:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).date()


def user_rows(spark: SparkSession, *rows: Mapping[str, Any], more: str) -> DataFrame:
    """`gold_user_features` of what is named; the rest is not known. `more` declares the columns beside the view's."""
    types = {FeatureType.INT64: "BIGINT", FeatureType.STRING_LIST: "ARRAY<STRING>"}
    ddl = ", ".join(["user_id STRING", *(f"{one.name} {types[one.dtype]}" for one in USER.features), more])
    names = [part.split()[0] for part in ddl.split(", ")]
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], ddl)

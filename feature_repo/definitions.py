"""Feast's objects, generated from `contracts.features`: nothing is declared here a second time."""

from __future__ import annotations

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Array, FeastType, Float32, Int64, String
from feast.value_type import ValueType

from contracts.features import FEATURE_SERVICE, ITEM, SERVICE_VIEWS, VIEWS, FeatureType, Strand, View
from contracts.settings import Settings
from contracts.tables import table_named

FEAST_TYPES: dict[FeatureType, FeastType] = {
    FeatureType.INT64: Int64,
    FeatureType.STRING: String,
    FeatureType.STRING_LIST: Array(String),
    FeatureType.FLOAT_LIST: Array(Float32),
}
REGISTERED = (*VIEWS, ITEM)
"""Item features are no rows of the online store: they are there for training alone."""
EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
ROWS, PLACE, CHOICE = "rows", "place", "choice"
"""Tags of a source whose query picks one of the rows of an instant: its table as it is, the column it picks by, and the one
that goes before all times: of rows made under two choices the newer choice's holds, as in the online store."""


def entities() -> list[Entity]:
    """One entity a join key, by the key's own name."""
    keys = sorted({key for view in REGISTERED for key in view.join_keys})
    return [Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in keys]


def feature_view(view: View, settings: Settings) -> FeatureView:
    """The view with its history in Delta; a row older than the view's freshness joins no training example.

    Serving calls such a row stale and does without it, so training does too.
    """
    by_name = {entity.name: entity for entity in entities()}
    docs = {feature.name: feature.description for feature in view.features}
    keys = [Field(name=key, dtype=String) for key in view.join_keys]
    columns = [
        Field(name=name, dtype=FEAST_TYPES[dtype], description=docs.get(name, ""))
        for name, dtype in view.stored_columns
    ]
    return FeatureView(
        name=view.name,
        entities=[by_name[key] for key in view.join_keys],
        ttl=timedelta(seconds=view.freshness_seconds),
        schema=[*keys, *columns],
        source=source_of(view, settings),
        online=view in VIEWS,
        tags={"strand": view.strand.value, "purpose": view.purpose or "none"},
    )


def source_of(view: View, settings: Settings) -> SparkSource:
    """The view's Delta table, by a query: Feast's Spark source refuses `file_format="delta"`."""
    return SparkSource(
        name=view.table,
        query=_history(view, settings),
        tags=_told_apart(view, settings),
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
    )


def feature_service(views: dict[str, FeatureView]) -> FeatureService:
    """What training reads of each example and the scorer of each request: the declared features alone."""
    chosen = [views[view.name][list(view.feature_names)] for view in SERVICE_VIEWS]
    return FeatureService(name=FEATURE_SERVICE, features=chosen)


def all_objects(settings: Settings) -> list[Entity | FeatureView | FeatureService]:
    """Everything that `apply` registers."""
    views = {view.name: feature_view(view, settings) for view in REGISTERED}
    return [*entities(), *views.values(), feature_service(views)]


def _history(view: View, settings: Settings) -> str:
    """Rows of the table; of stream rows of one instant only the one that saw the most events.

    Feast joins every row of the newest instant, so two events of one microsecond would double an example.
    """
    table = _table(view, settings)
    if view.strand is Strand.BATCH:
        return f"select * from {table}"
    keys = ", ".join((*view.join_keys, EVENT_TIMESTAMP, CREATED_TIMESTAMP))
    ranked = (
        f"select *, row_number() over (partition by {keys} order by events_seen desc) as place from {table}"
    )
    return f"select * from ({ranked}) where place = 1"


def _told_apart(view: View, settings: Settings) -> dict[str, str]:
    """For our own join, which tells rows of one instant apart without ranking the whole table."""
    if view.strand is not Strand.STREAM:
        return {}
    choice = {CHOICE: "consent_changed_at"} if view.starts_empty else {}
    return {ROWS: _table(view, settings), PLACE: "events_seen", **choice}


def _table(view: View, settings: Settings) -> str:
    return f"delta.`{table_named(view.table).path(settings)}`"

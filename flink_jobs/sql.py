"""The stream job as Flink SQL, rendered from the contracts: `events` in, `online_features` and `item_trends` out.

One visitor's events lie in one partition of `events`, so their offset order is the order of the stream.
`FirstOfEach` drops repeated event_ids without leaving it (a ROW_NUMBER would), and each view's aggregate emits a row
at once: no watermark is waited for. A row with events_seen = n is therefore made of the first n events of its
key in offset order, which is how Spark recomputes it. Trends alone are event-time windows, and wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from contracts.clock import MICROSECOND
from contracts.columns import EVENT_COLUMNS, flink_event_ddl
from contracts.consent import PURPOSE_ORDER, state_sql
from contracts.events import CONSENT_KEYS_SQL, shopper_sql
from contracts.feature_flink import record_call, row_call, view_spec
from contracts.feature_sql import event_columns
from contracts.features import (
    CONSENT,
    ITEM_TRENDS,
    SESSION,
    SHOPPER,
    Computed,
    CoVisited,
    Feature,
    Source,
    Strand,
    View,
)
from contracts.settings import TOPICS, Settings
from flink_jobs.trends import events_by_item, insert_trends

GROUP = "braid-stream"
LAST_MICROS = 253_402_300_799_999_999
"""The end of the year 9999."""
HOUR = timedelta(hours=1)
STREAM_VIEWS = (SESSION, SHOPPER, CONSENT, *ITEM_TRENDS)
# Wall time after a key's last event; it only frees memory. Sessions: more than twice session_horizon. Shoppers and
# consent: as long as the row is believed. Repeated event_ids: twice late_horizon (see `flink_jobs.job`).
SESSION_STATE_TTL = timedelta(hours=50)
# What the job reads of an event whatever the features are; see `columns_read`.
EVENT_COLUMNS_USED = (
    "event_name",
    "user_id",
    *(f"consent_{purpose}" for purpose in PURPOSE_ORDER),
    "item_id",
    "items",
)
EVENT_COLUMNS_NEEDED = (
    "event_id",
    "event_time",
    "received_time",
    "visitor_id",
    "session_id",
    "consent_changed_at",
)


DEDUP = ("event_id", "received_time")
"""The first columns of what `first_of_each` reads."""


def columns_read(views: Sequence[View]) -> tuple[str, ...]:
    """What is parsed of an event: the job's own columns and those that the views' features read."""
    read = event_columns(feature for view in views for feature in features_of(view))
    return tuple(
        name for name in EVENT_COLUMNS if name in {*EVENT_COLUMNS_NEEDED, *EVENT_COLUMNS_USED, *read}
    )


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the job reads and writes; tests hand in their own topics."""

    bootstrap: str
    events: str = TOPICS.events
    online_features: str = TOPICS.online_features
    item_trends: str = TOPICS.item_trends


@dataclass(frozen=True, slots=True)
class Query:
    """DDL statements in order, and the inserts that together are one job.

    `views`: by name, what the functions compute that make a view's rows (`contracts.feature_flink`).
    """

    views: tuple[tuple[str, str], ...]
    definitions: tuple[str, ...]
    inserts: tuple[str, ...]


def render(
    settings: Settings,
    stream: Stream,
    views: Sequence[View] = STREAM_VIEWS,
    cut_end_micros: int | None = None,
) -> Query:
    """The whole job.

    Args:
        cut_end_micros: of batch views among `views`, the end of their cut: events before it count.
    """
    columns = columns_read(views)
    grouped = [view for view in views if not view.window_minutes]
    return Query(
        tuple(
            (view.name, view_spec(key_columns(view), features_of(view), cut_end_micros)) for view in grouped
        ),
        (
            "CREATE TEMPORARY FUNCTION first_of_each AS 'braid.flink.FirstOfEach'",
            _source(settings, stream, columns),
            _read(settings, columns),
            _once(settings, columns),
            events_by_item(),
            *(_sink(view, stream) for view in views),
        ),
        tuple(_insert(view, settings, cut_end_micros) for view in views),
    )


def key_columns(view: View) -> tuple[str, ...]:
    """The group key, which is the key of the row in the topic."""
    return ("view", *view.join_keys, *(("consent_changed_at",) if view.starts_empty else ()))


def features_of(view: View) -> tuple[Feature, ...]:
    """The features that Flink can compute: aggregates of one entity's events."""
    return tuple(
        feature
        for feature in view.features
        if feature.source is not Source.CATALOG and not isinstance(feature.aggregate, Computed | CoVisited)
    )


def _source(settings: Settings, stream: Stream, columns: Sequence[str]) -> str:
    disorder = int(settings.trend_disorder.total_seconds())
    return f"""CREATE TEMPORARY TABLE events (
  {flink_event_ddl(columns, ("item_id",))},
  rowtime AS TO_TIMESTAMP_LTZ(event_time / 1000, 3),
  -- A device whose clock is ahead must not let the windows of all others pass: no time runs ahead of the receipt.
  WATERMARK FOR rowtime AS TO_TIMESTAMP_LTZ(LEAST(event_time, received_time) / 1000, 3) - INTERVAL '{disorder}' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = '{stream.events}',
  'properties.bootstrap.servers' = '{stream.bootstrap}', 'properties.group.id' = '{GROUP}',
  'properties.fetch.min.bytes' = '65536', 'properties.fetch.max.wait.ms' = '20',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'braid-json', 'braid-json.required' = '{";".join(EVENT_COLUMNS_NEEDED)}'
)"""


def _usable(settings: Settings) -> str:
    """One later than late_horizon is refused in both strands (`too_late`); beyond the calendar a time would end the job."""
    late = f"received_time - event_time <= {settings.late_horizon // MICROSECOND}"
    return f"{late} AND event_time BETWEEN 0 AND {LAST_MICROS}"


def _read(settings: Settings, columns: Sequence[str]) -> str:
    others = (name for name in columns if name not in DEDUP)
    return f"""CREATE TEMPORARY VIEW events_read AS
SELECT {", ".join((*DEDUP, *others))}, rowtime FROM events
WHERE {_usable(settings)}"""


def _once(settings: Settings, columns: Sequence[str]) -> str:
    era = f"CAST({settings.late_horizon // MICROSECOND} AS BIGINT)"
    return f"""CREATE TEMPORARY VIEW events_once AS
SELECT {", ".join(columns)}, rowtime
FROM first_of_each(event => TABLE events_read PARTITION BY visitor_id, era => {era},
  on_time => DESCRIPTOR(rowtime), uid => 'events_once')"""


def _sink(view: View, stream: Stream) -> str:
    return _trends_sink(view, stream) if view.window_minutes else _rows_sink(view, stream)


def _rows_sink(view: View, stream: Stream) -> str:
    """The record is written by `ViewRecord`; the sink adds its key and keeps the newest record of a key per flush."""
    columns = ",\n  ".join(f"{name} {kind}" for name, kind in _keys(view))
    return f"""CREATE TEMPORARY TABLE {view.name}_rows (
  {columns},
  record BYTES,
  PRIMARY KEY ({", ".join(key_columns(view))}) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', 'topic' = '{stream.online_features}', {_kafka(stream)},
  'sink.buffer-flush.max-rows' = '2000', 'sink.buffer-flush.interval' = '50 ms',
  'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
)"""


def _trends_sink(view: View, stream: Stream) -> str:
    """A window's row is written once: plain records, of which the compacted topic keeps the newest of each key."""
    counts = [(name, "BIGINT") for name in (*view.version, *view.feature_names)]
    columns = ",\n  ".join(f"{name} {kind}" for name, kind in (*_keys(view), *counts))
    return f"""CREATE TEMPORARY TABLE {view.name}_rows (
  {columns}
) WITH (
  'connector' = 'kafka', 'topic' = '{stream.item_trends}', {_kafka(stream)},
  'key.fields' = '{";".join(key_columns(view))}', 'value.format' = 'json'
)"""


def _kafka(stream: Stream) -> str:
    return f"""
  'properties.bootstrap.servers' = '{stream.bootstrap}',
  'properties.linger.ms' = '2', 'properties.compression.type' = 'lz4',
  'key.format' = 'json', 'sink.delivery-guarantee' = 'at-least-once'"""


def _keys(view: View) -> list[tuple[str, str]]:
    kinds = {"consent_changed_at": "BIGINT NOT NULL"}
    return [(name, kinds.get(name, "STRING NOT NULL")) for name in key_columns(view)]


def _insert(view: View, settings: Settings, cut_end_micros: int | None) -> str:
    """A view's rows: grouped, each at once after its event, or by windows."""
    if view.window_minutes:
        return insert_trends(view)
    keys = ", ".join(key_columns(view))
    return f"""INSERT INTO {view.name}_rows
SELECT {keys}, {record_call(view, "made", key_columns(view))} AS record
FROM (
  SELECT {_state_ttl(view)} {keys}, {row_call(view, features_of(view))} AS made
  FROM (
    SELECT *, {_view_sql(view)} AS view FROM ({_taken(view, settings, cut_end_micros)})
  ) AS {view.name}_events
  GROUP BY {keys}
)"""


def _taken(view: View, settings: Settings, cut_end_micros: int | None) -> str:
    """The events that make a view's rows, with its keys.

    Raises:
        ValueError: a batch view has no cut.
    """
    late = f"received_time - event_time <= {settings.session_horizon // MICROSECOND}"
    if view.name == CONSENT.name:
        return f"""SELECT *, {state_sql()} AS consent_state
  FROM events_once CROSS JOIN UNNEST(ARRAY[{", ".join(CONSENT_KEYS_SQL)}]) AS keyed (shopper_id)
  WHERE shopper_id IS NOT NULL"""
    granted = f"consent_{view.purpose} = 'granted'"
    if view.name == SESSION.name:
        return f"SELECT * FROM events_once WHERE {granted} AND {late}"
    if view.name == SHOPPER.name:
        return f"SELECT *, {shopper_sql()} AS shopper_id FROM events_once WHERE {granted} AND {late}"
    if view.strand is not Strand.BATCH or cut_end_micros is None:
        raise ValueError(f"the view {view.name} needs the end of a cut")
    before = f"{granted} AND event_time < {cut_end_micros}"
    if view.source is Source.ITEMS:
        return f"{_by_item(view)} WHERE {before}"
    return f"SELECT * FROM events_once WHERE {before} AND user_id IS NOT NULL"


def _by_item(view: View) -> str:
    """Each event once for every different item that it names."""
    own = {"event_id", "event_name", "event_time", "visitor_id", "session_id"}
    read = sorted((own | event_columns(features_of(view))) - {"item_id"})
    return f"""SELECT {", ".join(read)}, named.item_id AS item_id
  FROM events_once CROSS JOIN UNNEST(ARRAY_DISTINCT(items)) AS named (item_id)"""


def _state_ttl(view: View) -> str:
    """How long the aggregate keeps its state after a key's last event."""
    ttl = SESSION_STATE_TTL if view.name == SESSION.name else timedelta(seconds=view.freshness_seconds)
    return f"/*+ STATE_TTL('{view.name}_events' = '{ttl // HOUR} h') */"


def _view_sql(view: View) -> str:
    """The view's name as a group key. As a literal it would be no part of the key: the planner, missing the sink's
    whole primary key in the group key, would retract each row before its update, which Kafka gets as a deletion."""
    return f"CASE WHEN event_time IS NULL THEN '' ELSE '{view.name}' END"

"""The stream job as Flink SQL, rendered from the contracts: `events` in, `online_features` out.

One visitor's events lie in one partition of `events`, so their offset order is the order of the stream.
`FirstOfEach` drops repeated event_ids without leaving it (a ROW_NUMBER would), and each grouped aggregate emits
at once: no watermark is waited for. A row with events_seen = n is therefore made of the first n events of its
key in offset order, which is how Spark recomputes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from contracts.clock import MICROSECOND
from contracts.columns import flink_event_ddl
from contracts.consent import state_sql
from contracts.events import shopper_sql
from contracts.feature_sql import Engine, expression
from contracts.features import CONSENT, SESSION, FeatureType, View
from contracts.settings import TOPICS, Settings

GROUP = "braid-stream"
HOUR = timedelta(hours=1)
# Wall time after a key's last event; it only frees memory. Sessions: more than twice session_horizon. Consent: as
# long as the choice is believed. Repeated event_ids: twice late_horizon (see `flink_jobs.job`).
SESSION_STATE_TTL = timedelta(hours=50)
CONSENT_STATE_TTL = timedelta(seconds=CONSENT.freshness_seconds)
FLINK_TYPES = {
    FeatureType.INT64: "BIGINT",
    FeatureType.STRING: "STRING",
    FeatureType.STRING_LIST: "ARRAY<STRING>",
}
# What the views read of an event; the rest is not even parsed.
EVENT_COLUMNS_READ = (
    "event_id",
    "event_name",
    "event_time",
    "received_time",
    "visitor_id",
    "user_id",
    "session_id",
    "consent_analytics",
    "consent_personalization",
    "consent_ads",
    "consent_email",
    "consent_push",
    "consent_changed_at",
    "item_id",
    "value_minor",
    "search_term",
)
EVENT_COLUMNS_NEEDED = (
    "event_id",
    "event_time",
    "received_time",
    "visitor_id",
    "session_id",
    "consent_changed_at",
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the job reads and writes; tests hand in their own topics."""

    bootstrap: str
    events: str = TOPICS.events
    online_features: str = TOPICS.online_features


@dataclass(frozen=True, slots=True)
class Query:
    """DDL statements in order, and the inserts that together are one job."""

    definitions: tuple[str, ...]
    inserts: tuple[str, ...]


def render(settings: Settings, stream: Stream) -> Query:
    """The whole job."""
    return Query(
        (
            "CREATE TEMPORARY FUNCTION last_k AS 'braid.flink.LastK'",
            "CREATE TEMPORARY FUNCTION first_of_each AS 'braid.flink.FirstOfEach'",
            _source(stream),
            _read(),
            _once(),
            _sink(SESSION, stream),
            _sink(CONSENT, stream),
        ),
        (_insert_session(settings), _insert_consent()),
    )


def key_columns(view: View) -> tuple[str, ...]:
    """The group key, which is the key of the row in the topic."""
    return ("view", *view.join_keys, *(name for name in view.carried if name == "consent_changed_at"))


def _source(stream: Stream) -> str:
    # The door has validated every record; what is not JSON all the same (a foreign writer) must not stop
    # every shopper's features, so it is passed over.
    return f"""CREATE TEMPORARY TABLE events (
  {flink_event_ddl(EVENT_COLUMNS_READ)}
) WITH (
  'connector' = 'kafka', 'topic' = '{stream.events}',
  'properties.bootstrap.servers' = '{stream.bootstrap}', 'properties.group.id' = '{GROUP}',
  'properties.fetch.max.wait.ms' = '10', 'scan.startup.mode' = 'earliest-offset',
  'format' = 'json', 'json.ignore-parse-errors' = 'true'
)"""


def _read() -> str:
    present = " AND ".join(f"{name} IS NOT NULL" for name in EVENT_COLUMNS_NEEDED)
    return f"""CREATE TEMPORARY VIEW events_read AS
SELECT * FROM events
WHERE {present}"""


def _once() -> str:
    return f"""CREATE TEMPORARY VIEW events_once AS
SELECT {", ".join(EVENT_COLUMNS_READ)}
FROM first_of_each(event => TABLE events_read PARTITION BY visitor_id, uid => 'events_once')"""


def _sink(view: View, stream: Stream) -> str:
    keys = ", ".join(key_columns(view))
    columns = ",\n  ".join(f"{name} {kind}" for name, kind in _columns(view))
    return f"""CREATE TEMPORARY TABLE {view.name}_rows (
  {columns},
  PRIMARY KEY ({keys}) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', 'topic' = '{stream.online_features}',
  'properties.bootstrap.servers' = '{stream.bootstrap}',
  'properties.linger.ms' = '2', 'properties.compression.type' = 'lz4',
  'sink.buffer-flush.max-rows' = '2000', 'sink.buffer-flush.interval' = '20 ms',
  'key.format' = 'json', 'value.format' = 'json', 'sink.delivery-guarantee' = 'at-least-once'
)"""


def _columns(view: View) -> list[tuple[str, str]]:
    keys = [(name, "BIGINT" if name == "consent_changed_at" else "STRING") for name in key_columns(view)]
    versions = [("newest_event_time", "BIGINT"), ("events_seen", "BIGINT")]
    features = [(feature.name, FLINK_TYPES[feature.dtype]) for feature in view.features]
    return [*((name, f"{kind} NOT NULL") for name, kind in keys), *versions, *features]


def _insert_session(settings: Settings) -> str:
    """Rows of sessions with `personalization`; what arrives later than session_horizon goes to batch only."""
    horizon = settings.session_horizon // MICROSECOND
    return f"""INSERT INTO {SESSION.name}_rows
SELECT {_aggregates(SESSION, SESSION_STATE_TTL)}
FROM (
  SELECT *, {_view_sql(SESSION)} AS view FROM events_once
  WHERE consent_personalization = 'granted' AND received_time - event_time <= {horizon}
) AS session_events
GROUP BY {", ".join(key_columns(SESSION))}"""


def _insert_consent() -> str:
    """The newest choice of each shopper, in time of choosing; it needs no consent to be known."""
    return f"""INSERT INTO {CONSENT.name}_rows
SELECT {_aggregates(CONSENT, CONSENT_STATE_TTL)}
FROM (
  SELECT event_time, {shopper_sql()} AS shopper_id, {state_sql()} AS consent_state, {_view_sql(CONSENT)} AS view
  FROM events_once
) AS consent_events
GROUP BY {", ".join(key_columns(CONSENT))}"""


def _aggregates(view: View, state_ttl: timedelta) -> str:
    """The select list, with how long this aggregate keeps its state after a key's last event."""
    hint = f"/*+ STATE_TTL('{view.name}_events' = '{state_ttl // HOUR} h') */"
    versions = ("MAX(event_time) AS newest_event_time", "COUNT(*) AS events_seen")
    features = (expression(feature, Engine.FLINK) for feature in view.features)
    return f"{hint}\n  " + ",\n  ".join((*key_columns(view), *versions, *features))


def _view_sql(view: View) -> str:
    """The view's name as a group key. As a literal it would be no part of the key: the planner, missing the sink's
    whole primary key in the group key, would retract each row before its update, which Kafka gets as a deletion."""
    return f"CASE WHEN event_time IS NULL THEN '' ELSE '{view.name}' END"

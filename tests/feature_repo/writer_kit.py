"""A feature writer in a thread, and the records that it is given."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from confluent_kafka import Producer
from redis.exceptions import RedisError

from contracts.clock import FixedClock, from_micros
from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.features import View
from contracts.online import StoredRow, decode_row, fields_of, redis_key
from contracts.settings import TOPICS, Settings
from feature_repo.metrics import WriterMetrics
from feature_repo.repo import online_config
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.writer import FeatureWriter

START = 1_314_951_300_000_000
LIMIT_SECONDS = 120.0


def session(visitor: str, seen: int, seconds: int = 0, **more: Any) -> dict[str, Any]:
    key = {"view": "session", "visitor_id": visitor, "session_id": "s"}
    return {**key, "newest_event_time": START + seconds * 1_000_000, "events_seen": seen, **more}


def consent(
    shopper: str, seen: int, seconds: int, personalization: str, visitor: str | None = None
) -> dict[str, Any]:
    """A consent record of a choice at that second, whose newest event was in session "s" of `visitor`."""
    purposes = dict.fromkeys((f"consent_{purpose}" for purpose in PURPOSES), "granted")
    chosen = {"consent_personalization": personalization, "consent_changed_at": START + seconds * 1_000_000}
    return {
        "view": "consent",
        "shopper_id": shopper,
        "newest_event_time": START + seconds * 1_000_000,
        "events_seen": seen,
        "consent_state": state_of({**purposes, **chosen}),
        "consent_visitor_id": visitor,
        "consent_session_id": visitor and "s",
    }


def produce(settings: Settings, *values: bytes | dict[str, Any] | None) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for value in values:
        data = json.dumps(value).encode() if isinstance(value, dict) else value
        key = value.get("visitor_id", value.get("shopper_id", "")) if isinstance(value, dict) else "poison"
        producer.produce(TOPICS.online_features, data, key=key)
    assert producer.flush(60) == 0


def read(settings: Settings, view: View, **keys: str) -> StoredRow:
    client = VersionedRedisOnlineStore().client(online_config(settings))
    values: Any = client.hmget(redis_key(settings.feast_project, keys), fields_of(view))
    return decode_row(view, values)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until `holds`; Redis may be away meanwhile."""
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until:
        try:
            if holds():
                return
        except RedisError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not so within {LIMIT_SECONDS:.0f} s")


Count = Callable[[str], float]


@contextmanager
def running(settings: Settings) -> Iterator[Count]:
    """A writer of its own in a thread, and what it has counted; on leaving it is told to stop, as SIGTERM does."""
    metrics = WriterMetrics()
    # Feast sets PROMETHEUS_MULTIPROC_DIR where it is imported first: counters of one name then go on counting.
    started = {
        name: _value(metrics, name)
        for name in (
            "written",
            "older",
            "superseded",
            "poison",
            "tombstones",
            "withdrawn",
            "erased",
            "rebuilds",
            "retries",
        )
    }
    writer = FeatureWriter(settings, FixedClock(from_micros(START)), metrics)
    thread = Thread(target=writer.run)
    thread.start()
    try:
        yield lambda name: _value(metrics, name) - started[name]
    finally:
        writer.stop.wanted = True
        thread.join(LIMIT_SECONDS)
    assert not thread.is_alive()


def _value(metrics: WriterMetrics, name: str) -> float:
    return metrics.registry.get_sample_value(f"feature_writer_{name}_total") or 0.0

"""Flink as an engine of the parity tests: events through the real cluster, in one run, on topics of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.features import View
from contracts.settings import Settings
from flink_jobs.__main__ import launch_now
from flink_jobs.job import EVERY_VIEW, parity_job
from flink_jobs.rest import Cluster
from flink_jobs.sql import Stream
from flink_jobs.submit import ensure_running, stop
from tests.flink_jobs.kit import LIMIT_SECONDS, Tail, unique
from tests.parity.engines import Rows, by_topic

Event = Mapping[str, Any]


def by_flink(
    settings: Settings,
    events: Sequence[Event],
    cut: Cut,
    done: Callable[[dict[str, Rows]], bool],
    views: Sequence[View] = EVERY_VIEW,
) -> dict[str, Rows]:
    """The rows after all events, in the order given; `done` says when they are all there."""
    name = unique("parity")
    stream = Stream(settings.kafka_bootstrap, f"{name}-events", f"{name}-rows", f"{name}-trends")
    _make_topics(settings, stream)
    cluster, job = Cluster(settings.flink_url), parity_job(settings, stream, name, to_micros(cut.end), views)
    _send(settings, stream.events, events)
    ensure_running(cluster, job, launch_now(settings))
    try:
        return _until(
            done, [_from_begin(settings, topic) for topic in (stream.online_features, stream.item_trends)]
        )
    finally:
        stop(cluster, name)


def _until(done: Callable[[dict[str, Rows]], bool], tails: list[Tail]) -> dict[str, Rows]:
    end = time.monotonic() + LIMIT_SECONDS
    while True:
        rows = by_topic(record for tail in tails for record in tail.read())
        if done(rows) or time.monotonic() > end:
            return rows
        time.sleep(0.5)


def _from_begin(settings: Settings, topic: str) -> Tail:
    return Tail(settings, topic, from_begin=True)


def _make_topics(settings: Settings, stream: Stream) -> None:
    """One partition each: the order of the events is the order of the stream."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    topics = [
        NewTopic(t, num_partitions=1) for t in (stream.events, stream.online_features, stream.item_trends)
    ]
    for made in admin.create_topics(topics).values():
        made.result(timeout=30)


def _send(settings: Settings, topic: str, events: Sequence[Event]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "enable.idempotence": True})
    for event in events:
        producer.produce(topic, json.dumps(event).encode(), event["visitor_id"])
        producer.poll(0)
    assert producer.flush(60) == 0

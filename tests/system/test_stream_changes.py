"""The stream job is changed while it works: a changed query takes over, an unchanged one upgrades; bad records are counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis
from confluent_kafka import Producer

from contracts.features import SESSION
from contracts.online import StoredRow, decode_row, fields_of, redis_key
from contracts.settings import TOPICS, Settings
from flink_jobs.__main__ import launch_now
from flink_jobs.job import JOB_NAME, stream_job
from flink_jobs.rest import Cluster, ClusterError
from flink_jobs.state import job_states
from flink_jobs.submit import ensure_running, upgrade
from infra.stack import LocalStack
from tests.flink_jobs.kit import Tail, items, send, unique, wait_for, wire
from tests.system.stream_load import EVENTS_EACH, VISITORS, all_arrived, check_exact, load, poll, some_rows

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def changing(own_settings: Settings) -> Iterator[Settings]:
    """A stack of its own: its job is replaced, which no other test should see."""
    stack = LocalStack(own_settings)
    try:
        stack.up(["flink-job", "feature-writer", "stream-metrics"])
        yield own_settings
    finally:
        stack.down()


def living(settings: Settings) -> list[str]:
    return [job.job_id for job in job_states(Cluster(settings.flink_url), JOB_NAME)]


class Served:
    """What the store held of some visitors' sessions, looked at again and again."""

    def __init__(self, settings: Settings, visitors: list[str]) -> None:
        self._store: Any = redis.Redis.from_url(settings.redis_url)
        self._keys = [
            redis_key(settings.feast_project, {"visitor_id": v, "session_id": "s1"}) for v in visitors
        ]
        self.seen: list[list[StoredRow]] = [[] for _ in visitors]

    def look(self) -> None:
        pipe = self._store.pipeline(transaction=False)
        for key in self._keys:
            pipe.execute_command("HMGET", key, *fields_of(SESSION))
        for held, values in zip(self.seen, pipe.execute(), strict=True):
            row = decode_row(SESSION, values)
            if row.found:
                held.append(row)

    def check(self) -> None:
        """Every row ever served is that of the first n events, and n never falls."""
        for rows in self.seen:
            counts = [row.features["events_seen"] for row in rows]
            assert counts == sorted(counts)  # type: ignore[type-var]
            for row in rows:
                n, newest = row.features["events_seen"], row.features["session_last_items"]
                assert isinstance(n, int) and isinstance(newest, list)
                # Events 0 … n-1 of a visitor, in order; the last of all is "end".
                assert newest[0] == ("end" if n == EVENTS_EACH + 1 else f"i{n - 1}")
                assert len(newest) == min(n, 20)


def test_a_changed_query_takes_over_while_the_old_one_serves(changing: Settings) -> None:
    tag, rows = unique("over"), Tail(changing, TOPICS.online_features)
    served = Served(changing, [f"{tag}-{n}" for n in range(0, VISITORS, 7)])
    before = living(changing)
    changed = stream_job(replace(changing, trend_disorder=timedelta(seconds=11)))
    with load(changing, tag) as third:
        third.wait()
        some_rows(rows, tag)
        watching = time.monotonic() + 3
        while time.monotonic() < watching:
            served.look()
        running = ensure_running(Cluster(changing.flink_url), changed, launch_now(changing))
        assert (running.origin, running.replaced) == ("the beginning", tuple(before))
        assert living(changing) == [running.job_id]
        served.look()
    found = wait_for(lambda: rows.rows("session", tag), all_arrived)
    check_exact(found)
    # Rows of the old job that had not changed since were made again by the new one.
    made_at = int(running.job_id[16:], 16)
    wait_for(lambda: rows.rows("session", tag), lambda r: {row["made_at"] for row in r.values()} == {made_at})
    poll(lambda: _all_served(served), "the last event is not served")
    served.check()


def _all_served(served: Served) -> bool:
    served.look()
    return all(rows and rows[-1].features["events_seen"] == EVENTS_EACH + 1 for rows in served.seen)


def test_an_unchanged_query_goes_on_from_a_savepoint_with_another_parallelism(changing: Settings) -> None:
    cluster, launch = Cluster(changing.flink_url), launch_now(changing)
    job = stream_job(replace(changing, trend_disorder=timedelta(seconds=11)))
    with pytest.raises(ClusterError, match="a changed query is submitted, not upgraded"):
        upgrade(cluster, stream_job(changing), launch)
    tag, rows = unique("up"), Tail(changing, TOPICS.online_features)
    before = living(changing)
    with load(changing, tag) as third:
        third.wait()
        some_rows(rows, tag)
        wider = replace(changing, trend_disorder=timedelta(seconds=11), stream_parallelism=4)
        running = upgrade(cluster, stream_job(wider), launch_now(changing))
    assert stream_job(wider).fingerprint == job.fingerprint
    assert living(changing) == [running.job_id] != before
    restored = cluster.get(f"/jobs/{running.job_id}/checkpoints")["latest"]["restored"]
    assert (restored["external_path"], restored["is_savepoint"]) == (f"file:{running.origin}", True)
    check_exact(wait_for(lambda: rows.rows("session", tag), all_arrived))


def test_what_is_no_event_is_counted_and_the_rest_goes_on(changing: Settings) -> None:
    visitor, rows = unique("bad"), Tail(changing, TOPICS.online_features)
    producer = Producer({"bootstrap.servers": changing.kafka_bootstrap})
    url = f"http://{changing.host}:{changing.port('stream_metrics')}/metrics"

    def told() -> dict[str, float]:
        lines = [line.split() for line in httpx.get(url, timeout=30).text.splitlines() if line[:1] != "#"]
        return {name.partition("{")[0].removeprefix("braid_stream_"): float(value) for name, value in lines}

    poll(lambda: "restarts_total" in told(), "nothing is told of the job")
    before = told()["restarts_total"]
    for value in (
        b"no json",
        b"{}",
        b"[]",
        b'{"event_id": 7',
        b'[{"event_id": "a"}, {"event_id": "b"}]',
        b"\xff",
    ):
        producer.produce(TOPICS.events, value, visitor)
    assert producer.flush(30) == 0
    send(changing, [wire("view_item", "e1", visitor, 0, items=items("a"))])
    wait_for(lambda: rows.rows("session", visitor), bool)
    poll(lambda: told().get("unreadable_total") == 6, "six records that are none are not counted")
    # Every metric is there once a checkpoint is.
    poll(lambda: "state_bytes" in told(), "no checkpoint is told of")
    metrics = told()
    assert (metrics["up"], metrics["running"], metrics["restarts_total"]) == (1, 1, before)
    assert metrics["state_bytes"] > 1000
    assert {
        "lag",
        "rate",
        "checkpoint_age_seconds",
        "checkpoint_seconds",
        "failed_checkpoints_total",
    } <= metrics.keys()

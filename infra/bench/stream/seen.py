"""When rows are in Redis: ours by how far the writer came, the peer's by the rows themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from contracts.errors import BraidError
from contracts.features import SESSION
from contracts.online import decode_value, feature_field, progress_key, redis_key
from contracts.settings import TOPICS, Settings
from flink_jobs.job import JOB_NAME
from flink_jobs.rest import Cluster
from flink_jobs.state import job_states
from infra.bench.stream.crowd import Crowd
from infra.load.online import SessionKey, events_seen_reader

POLL_SECONDS = 0.1
PEER_POLL_SECONDS = 2.0
"""Looking at its rows takes a core for a moment, of the two that it runs on."""
LIMIT_SECONDS = 1800.0
STILL_SECONDS = 1.5
"""Three times the age that Flink's metrics may have."""
AT_ONCE = 20_000
NEARLY = 0.95


class BenchError(BraidError):
    """Rows did not arrive."""


class Stored:
    """What our stream has stored: everything when the job has read every event and the writer every record, and both rest."""

    def __init__(self, own: Settings) -> None:
        self._own = own
        self._store: Any = Redis.from_url(own.redis_url)
        self._consumer = Consumer({"bootstrap.servers": own.kafka_bootstrap, "group.id": "braid-bench"})
        self._cluster = Cluster(own.flink_url)
        self._expected = 0

    def wait(self, events: int, began: float = 0.0) -> float:
        """Wait until the rows of `events` more events are stored; returns the seconds from `began` to the last of them.

        Raises:
            BenchError: half an hour has passed.
        """
        self._expected += events
        deadline, still_since, done_at, stored = time.monotonic() + LIMIT_SECONDS, None, 0.0, -1
        while time.monotonic() < deadline:
            now, written = time.perf_counter(), self._written()
            if written is None or written != stored:
                done_at, stored, still_since = now, -1 if written is None else written, None
            elif not self._all_read():
                still_since = None
            elif now - (still_since := still_since or now) > STILL_SECONDS:
                return done_at - began
            time.sleep(POLL_SECONDS)
        raise BenchError(f"{self._expected:,} events are not stored after {LIMIT_SECONDS:.0f} s")

    def _written(self) -> int | None:
        """How many records of `online_features` are stored; None while some are not."""
        ends = [self._end(TOPICS.online_features, part) for part in range(self._own.kafka_partitions)]
        held = self._store.hmget(progress_key(self._own.feast_project), *range(self._own.kafka_partitions))
        return sum(ends) if all(int(at or 0) >= end for at, end in zip(held, ends, strict=True)) else None

    def _all_read(self) -> bool:
        """Whether the job has read every event; asked last, since its metrics are half a second old."""
        return all(job.pending == 0 for job in job_states(self._cluster, JOB_NAME))

    def _end(self, topic: str, partition: int) -> int:
        end: int = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
        return end

    def wrong(self, produced: Mapping[SessionKey, int]) -> int:
        """How many sessions do not have exactly as many events as were produced."""
        read, sessions = events_seen_reader(self._own), list(produced)
        found = (count for some in _pieces(sessions) for count in read(some))
        return sum(count != produced[session] for session, count in zip(sessions, found, strict=True))


class PeerRows:
    """The peer's session rows, of which each is there once."""

    def __init__(self, own: Settings, project: str, crowd: Crowd) -> None:
        self._store: Any = Redis.from_url(own.redis_url)
        self._field = feature_field(SESSION.name, "session_events")
        sessions = crowd.produced()
        self._keys = [
            redis_key(project, {"visitor_id": visitor, "session_id": session})
            for visitor, session in sessions
        ]
        self._expected = sum(sessions.values())

    def rate(self, process: subprocess.Popen[bytes], limit_seconds: float) -> float:
        """Events per second from the first rows seen until nearly all are: what the last batch holds waits for a next event.

        Raises:
            BenchError: the job ended or took too long.
        """
        first, deadline = None, time.monotonic() + limit_seconds
        while True:
            now, seen = time.perf_counter(), self._seen()
            if seen and first is None:
                first = (now, seen)
            if first is not None and seen >= NEARLY * self._expected:
                return (seen - first[1]) / (now - first[0])
            if time.monotonic() > deadline or process.poll() not in (None, 0):
                raise BenchError(
                    f"the PyFlink job stored {seen:,} of {self._expected:,} events: see peer.log"
                )
            time.sleep(PEER_POLL_SECONDS)

    def _seen(self) -> int:
        return sum(self._of(some) for some in _pieces(self._keys))

    def _of(self, keys: Sequence[bytes]) -> int:
        pipe = self._store.pipeline(transaction=False)
        for key in keys:
            pipe.hget(key, self._field)
        counts = (decode_value(value) for value in pipe.execute() if value)
        return sum(count for count in counts if isinstance(count, int))


def _pieces(whole: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(whole), AT_ONCE):
        yield whole[at : at + AT_ONCE]

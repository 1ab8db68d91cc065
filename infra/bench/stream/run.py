"""`make bench-stream`: ours and the PyFlink job in turns over one crowd, freshness, growth → bench-stream.json."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.features import ITEM_TRENDS
from contracts.reports import provenance
from contracts.settings import PORTS, ROOT, TOPICS, Settings
from flink_jobs.job import JOB_NAME
from flink_jobs.rest import Cluster
from flink_jobs.state import job_states
from flink_jobs.submit import stop
from infra.bench.stream.crowd import SPACING_MICROS, Crowd
from infra.bench.stream.figures import Batch, Leg, broken, shown, summed_up
from infra.bench.stream.seen import BenchError, PeerRows, Stored
from infra.demo.progress import Progress
from infra.load.freshness import Watcher
from infra.load.online import events_seen_reader
from infra.publish import Sender
from infra.stack import LocalStack
from infra.stack.supervisor import MARK
from infra.stack.units import environment

START = datetime(2011, 9, 2, 8, tzinfo=UTC)
SLIDE = timedelta(minutes=max(view.slide_minutes for view in ITEM_TRENDS))
UNITS = ("redis", "kafka", "flink-job", "feature-writer")
PEER_TOPIC = "peer_events"
PEER_PROJECT = "peer"
TICK_SECONDS = 0.004
WATCH_EVERY = 7
SETTLE_SECONDS = 60.0
PEER_LIMIT_SECONDS = 600.0
PEER_EVENTS_EACH = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the bench is.

    Attributes:
        sessions: that live at once, of each leg; the middle one is held against the peer.
        batch: events of one measured batch.
        long: events of one session among all of the middle leg.
    """

    sessions: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    batch: int = 150_000
    long: int = 10_000
    peer_events: int = 20_000
    paced_rate: int = 1_000
    paced_seconds: int = 60
    heap: str = "6g"


def run(settings: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Every leg on a stack of its own; returns the report.

    Raises:
        BraidError: the stack does not start, or rows do not arrive.
    """
    shutil.rmtree(settings.var / "bench-stream", ignore_errors=True)
    middle = sorted(plan.sessions)[len(plan.sessions) // 2]
    legs: list[Leg] = []
    report: dict[str, Any] = {}
    for sessions in sorted(plan.sessions):
        with progress.step(f"sessions_{sessions}", f"{sessions:,} live sessions"):
            leg, more = _leg(settings, plan, sessions, with_peer=sessions == middle)
        progress.say(f"{leg.rate:,.0f} events/s, state {leg.state_bytes / 2**20:,.0f} MiB")
        legs.append(leg)
        report |= more
    figures = summed_up(next(leg for leg in legs if leg.sessions == middle), report)
    shutil.rmtree(settings.var / "bench-stream")
    return {
        **provenance(),
        "data": {"source": "the project's crowd: every field of the contract set", "plan": asdict(plan)},
        **figures,
        "growth": [shown(leg) for leg in legs],
        "broken": broken(figures, legs),
        "seconds": round(progress.elapsed, 1),
    }


def _leg(settings: Settings, plan: Plan, sessions: int, *, with_peer: bool) -> tuple[Leg, dict[str, Any]]:
    """One size: the sessions begin, then measured batches of them; beside the peer two batches with it in between."""
    own = replace(
        settings,
        var=settings.var / "bench-stream" / str(sessions),
        port_base=settings.port_base + len(PORTS),
        stream_heap=plan.heap,
    )
    batches = 2 if with_peer else 1
    # In the middle of the first batch windows of an hour end, too.
    start = START - timedelta(microseconds=(sessions + plan.batch // 2) * SPACING_MICROS)
    crowd = Crowd("c", sessions, sessions + batches * plan.batch, start, plan.long if with_peer else 0)
    report: dict[str, Any] = {}
    with _stack(own) as stack:
        stored = Stored(own)
        records = crowd.records()
        _send(own, records, sessions)
        stored.wait(sessions)
        measured = [_batch(own, stored, records, plan.batch)]
        if with_peer:
            report["peer"] = _peer(own, plan, stack)
            measured.append(_batch(own, stored, records, plan.batch))
        wrong = stored.wrong(crowd.produced())
        if with_peer:
            report["freshness"] = asdict(_freshness(own, plan, crowd.end))
        state = _state_bytes(own)
        memory = {name: found["mib"] for name, found in _processes(own).items()}
    shutil.rmtree(own.var)
    return Leg(sessions, tuple(measured), state, memory, wrong), report


@contextmanager
def _stack(own: Settings) -> Iterator[LocalStack]:
    stack = LocalStack(own)
    try:
        stack.up(UNITS)
        yield stack
    finally:
        stack.down()


def _send(own: Settings, records: Iterator[tuple[str, bytes]], count: int) -> None:
    sender = Sender(own)
    for _ in range(count):
        key, value = next(records)
        sender.send_raw(TOPICS.events, key, value)
    sender.flush()


def _batch(own: Settings, stored: Stored, records: Iterator[tuple[str, bytes]], count: int) -> Batch:
    """Events made beforehand, sent as fast as Kafka takes them, until every row of theirs is in Redis."""
    made = [next(records) for _ in range(count)]
    before, began = _processes(own), time.perf_counter()
    sender = Sender(own)
    for key, value in made:
        sender.send_raw(TOPICS.events, key, value)
    sender.flush()
    seconds = stored.wait(count, began)
    after = _processes(own)
    cpu = {name: after[name]["cpu"] - found["cpu"] for name, found in before.items() if name in after}
    return Batch(count, seconds, cpu)


def _peer(own: Settings, plan: Plan, stack: LocalStack) -> dict[str, float]:
    """The PyFlink job over events of its own, in the same Kafka and Redis; our job is stopped meanwhile and then goes on."""
    stop(Cluster(own.flink_url), JOB_NAME)
    admin = AdminClient({"bootstrap.servers": own.kafka_bootstrap})
    for made in admin.create_topics([NewTopic(PEER_TOPIC, own.kafka_partitions)]).values():
        made.result(timeout=30)
    crowd = Crowd("p", plan.peer_events // PEER_EVENTS_EACH, plan.peer_events, START)
    sender = Sender(own)
    for key, value in crowd.records():
        sender.send_raw(PEER_TOPIC, key, value)
    sender.flush()
    log = own.logs / "peer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.bench.stream.peer", PEER_TOPIC, PEER_PROJECT],
            cwd=ROOT,
            env={**os.environ, **environment(own)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            rate = PeerRows(own, PEER_PROJECT, crowd).rate(process, PEER_LIMIT_SECONDS)
        finally:
            _end(process)
    stack.up(UNITS)
    return {"events": plan.peer_events, "events_per_second": round(rate, 1)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """The command, its JVM and that one's Python workers."""
    family = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.kill()
    process.wait()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


def _freshness(own: Settings, plan: Plan, after: datetime) -> Any:
    """Events at a steady rate, of sessions that live on; every seventh is watched until its row can be read.

    Their time goes on as the clock does, from shortly before windows of trends end, which are written meanwhile.
    """
    events = plan.paced_rate * plan.paced_seconds
    ending = after + SLIDE + (START - after) % SLIDE
    start = ending - timedelta(seconds=10)
    crowd = Crowd("f", 2_000, events, start, spacing_micros=1_000_000 // plan.paced_rate)
    counts: dict[int, int] = {}
    sender = Sender(own, linger_ms=1)
    with Watcher(events_seen_reader(own)) as watcher:
        began = time.perf_counter()
        for n, (number, (key, value)) in enumerate(zip(crowd.order(), crowd.records(), strict=True)):
            while (early := began + n / plan.paced_rate - time.perf_counter()) > 0:
                time.sleep(min(early, TICK_SECONDS))
            counts[number] = counts.get(number, 0) + 1
            sent_at = time.perf_counter()
            sender.send_raw(TOPICS.events, key, value)
            if n % WATCH_EVERY == 0:
                watcher.watch(crowd.session(number), counts[number], sent_at)
        sender.flush()
        return watcher.finish(SETTLE_SECONDS)


def _state_bytes(own: Settings) -> int:
    """Of a checkpoint that was begun after the last event."""
    cluster, now_ms = Cluster(own.flink_url), time.time() * 1000
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        (job,) = job_states(cluster, JOB_NAME)
        if job.checkpoint is not None and job.checkpoint.begun_ms > now_ms:
            return job.checkpoint.state_bytes
        time.sleep(1)
    raise BenchError("no checkpoint was completed within five minutes")


def _processes(own: Settings) -> dict[str, dict[str, float]]:
    """CPU-seconds so far and resident MiB by part of the stack."""
    found: dict[str, dict[str, float]] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) != str(own.var):
                continue
            name, times = _part(process.cmdline()), process.cpu_times()
            held = found.setdefault(name, {"cpu": 0.0, "mib": 0.0})
            held["cpu"] += times.user + times.system
            held["mib"] += process.memory_info().rss / 2**20
        except (psutil.Error, OSError):
            continue
    return found


def _part(command: Sequence[str]) -> str:
    words = " ".join(command)
    parts = {
        "TaskManagerRunner": "taskmanager",
        "StandaloneSessionCluster": "jobmanager",
        "kafka.Kafka": "kafka",
        "redis-server": "redis",
        "feature_repo": "writer",
    }
    return next((name for mark, name in parts.items() if mark in words), "others")

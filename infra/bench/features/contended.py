"""Two processes write rows of the same entities, out of order; what each store holds in the end.

An entity's rows differ in their version (newest event time, events seen): a row of the same newest time that saw one event
more is a late correction. Every row is written once, by one of the two.
"""

from __future__ import annotations

import warnings
from datetime import timedelta
from itertools import islice
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from random import Random
from typing import Any, cast

from feast import Entity, FeatureView, Field, RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Int64, String
from feast.value_type import ValueType
from redis import Redis

from contracts.clock import from_micros
from contracts.errors import BraidError
from contracts.online import decode_value, feature_field, redis_key
from contracts.settings import Settings
from feature_repo.definitions import EVENT_TIMESTAMP
from feature_repo.encoded import EVENTS_SEEN
from feature_repo.store import ProtoRow, VersionedRedisOnlineStore
from infra.bench.features import figures, stores
from infra.bench.features.figures import Version
from infra.bench.features.plan import Plan
from infra.demo.progress import Progress

OURS, STOCK = "bench_contended", "bench_contended_stock"
VIEW, KEY, TIME = "contended", "entity_id", "newest_event_time"
"""A row's `newest_event_time` and `events_seen` say which version wrote it."""
START = 1_314_950_400_000_000
LATE = 0.5
"""Chance that a row is a late correction of the one before."""
WRITERS, BATCH = 2, 50
LONGEST_SECONDS = 900
FIELDS = (feature_field(VIEW, TIME), feature_field(VIEW, EVENTS_SEEN))

Write = tuple[str, Version]


class WriterError(BraidError):
    """A writer of the contended part ended early."""


def measure(own: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """The same writes through both stores, one after the other; needs Redis."""
    versions = {key: versions_of(key, plan) for key in keys_of(plan)}
    held = {}
    for name in (OURS, STOCK):
        with progress.step(name, f"{name}: two writers, {plan.keys:,} entities, {plan.versions} rows each"):
            forget(own, name, plan)
            write_both(own, name, plan)
            held[name] = read_back(own, name, plan)
    return {
        "writes": plan.keys * plan.versions,
        "entities": plan.keys,
        "batch": BATCH,
        **figures.contended(versions, held[OURS], held[STOCK]),
    }


def keys_of(plan: Plan) -> list[str]:
    return [f"contended-{number}" for number in range(plan.keys)]


def versions_of(key: str, plan: Plan) -> list[Version]:
    """An entity's versions, in their order."""
    chance, time, found = Random(f"{plan.seed}/{key}"), START, []
    for seen in range(1, plan.versions + 1):
        if seen == 1 or chance.random() >= LATE:
            time += chance.randrange(1, 60_000_000)
        found.append((time, seen))
    return found


def writes_of(writer: int, plan: Plan) -> list[Write]:
    """One writer's rows, shuffled; together the writers have each row once."""
    rows = [(key, version) for key in keys_of(plan) for version in versions_of(key, plan)]
    Random(plan.seed).shuffle(rows)
    return rows[writer::WRITERS]


def write_both(own: Settings, name: str, plan: Plan) -> None:
    """Both writers, each a process, from the same moment on.

    Raises:
        WriterError: one of them failed.
    """
    context = get_context("spawn")
    barrier = context.Barrier(WRITERS)
    writers = [
        context.Process(target=write, args=(own, name, plan, number, barrier)) for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(LONGEST_SECONDS)
    codes = [writer.exitcode for writer in writers]
    for writer in writers:
        writer.kill()
    if codes != [0] * WRITERS:
        raise WriterError(f"{name}: the writers ended with {codes}")


def write(own: Settings, name: str, plan: Plan, writer: int, barrier: Barrier) -> None:
    """One writer: its rows in batches, the way that Feast hands rows to any online store."""
    store: RedisOnlineStore = VersionedRedisOnlineStore() if name == OURS else RedisOnlineStore()
    config = config_of(own, name)
    # Feast, all of it imported by now, warns of its Spark source, which nothing here reads.
    warnings.simplefilter("ignore", RuntimeWarning)
    view = feature_view()
    rows = iter([proto_row(key, version) for key, version in writes_of(writer, plan)])
    barrier.wait(LONGEST_SECONDS)
    while some := list(islice(rows, BATCH)):
        store.online_write_batch(config, view, some, None)


def config_of(own: Settings, name: str) -> RepoConfig:
    if name == OURS:
        return stores.ours(own, name)
    return stores.stock(own, name, own.var / name / "registry.db")


def feature_view() -> FeatureView:
    return FeatureView(
        name=VIEW,
        entities=[Entity(name=KEY, join_keys=[KEY], value_type=ValueType.STRING)],
        ttl=timedelta(days=1),
        schema=[
            Field(name=KEY, dtype=String),
            Field(name=TIME, dtype=Int64),
            Field(name=EVENTS_SEEN, dtype=Int64),
        ],
        source=SparkSource(name=VIEW, query="select 1", timestamp_field=EVENT_TIMESTAMP),
    )


def proto_row(key: str, version: Version) -> ProtoRow:
    time, seen = version
    values = {TIME: Value(int64_val=time), EVENTS_SEEN: Value(int64_val=seen)}
    entity = EntityKey(join_keys=[KEY], entity_values=[Value(string_val=key)])
    return entity, values, from_micros(time), None


def forget(own: Settings, name: str, plan: Plan) -> None:
    """Remove what an earlier run left."""
    client: Any = Redis.from_url(own.redis_url)
    client.delete(*(redis_key(name, {KEY: key}) for key in keys_of(plan)))


def read_back(own: Settings, name: str, plan: Plan) -> dict[str, Version | None]:
    """The version whose row each entity holds."""
    # Feast keys are bytes, which the stubs of redis do not allow.
    client: Any = Redis.from_url(own.redis_url)
    pipeline = client.pipeline(transaction=False)
    for key in keys_of(plan):
        pipeline.hmget(redis_key(name, {KEY: key}), FIELDS)
    return {key: _version(*held) for key, held in zip(keys_of(plan), pipeline.execute(), strict=True)}


def _version(time: bytes | None, seen: bytes | None) -> Version | None:
    if time is None or seen is None:
        return None
    numbers = (decode_value(time), decode_value(seen))
    return cast(Version, numbers)

"""The feature writer on a real broker and a real Redis: poison, bursts of one key, restarts, a flush."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from confluent_kafka import Producer
from redis.exceptions import RedisError

from contracts.clock import FixedClock, from_micros
from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.features import CONSENT, SESSION, SHOPPER, View
from contracts.online import StoredRow, decode_row, fields_of, is_whole, progress_key, redis_key, until_field
from contracts.settings import TOPICS, Settings
from feature_repo.forget import erasures, send
from feature_repo.metrics import WriterMetrics
from feature_repo.progress import Bounds, Progress
from feature_repo.repo import online_config
from feature_repo.rows import PoisonError, newest_records, read_record
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.writer import FeatureWriter
from infra.stack import LocalStack

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


@pytest.fixture(scope="module")
def servers(settings: Settings, stack: LocalStack) -> LocalStack:
    stack.up(["redis", "kafka"])
    return stack


@pytest.mark.usefixtures("servers")
def test_writes_the_newest_row_of_each_key_and_steps_over_poison(settings: Settings) -> None:
    produce(
        settings,
        session("w1", 1, session_carts=1),
        b"{not json",
        session("w1", 3, 5, session_carts=3, session_last_items=["b", "a"], consent_changed_at=9),
        session("w1", 2, 5, session_carts=2),
        {"view": "session", "visitor_id": "w2"},
        {"view": "unheard-of", "newest_event_time": 1, "events_seen": 1},
        None,
        {
            "view": "consent",
            "shopper_id": "user:ü",
            "newest_event_time": START,
            "events_seen": 1,
            "consent_state": "1|0",
        },
    )
    with running(settings) as count:
        eventually(lambda: read(settings, SESSION, visitor_id="w1", session_id="s").version is not None)
        eventually(lambda: read(settings, CONSENT, shopper_id="user:ü").found)
        eventually(lambda: count("poison") == 3)
        row = read(settings, SESSION, visitor_id="w1", session_id="s")
    # Row 3 is the newest by version, though row 2 of the same instant was produced after it.
    assert row.version == (START + 5_000_000, 3)
    assert row.features["session_carts"] == 3
    assert row.features["session_last_items"] == ["b", "a"]
    assert row.features["consent_changed_at"] == 9
    assert row.features["session_searches"] is None
    assert read(settings, CONSENT, shopper_id="user:ü").features["consent_state"] == "1|0"
    assert count("tombstones") == 1
    assert count("written") + count("superseded") + count("older") == 4


@pytest.mark.usefixtures("servers")
def test_goes_on_where_it_stopped_and_rebuilds_a_flushed_redis(settings: Settings) -> None:
    client = VersionedRedisOnlineStore().client(online_config(settings))
    produce(settings, session("r1", 1, session_carts=1))
    with running(settings):
        eventually(lambda: read(settings, SESSION, visitor_id="r1", session_id="s").found)

    # Stopped: the row removed behind its back stays away, for Redis says that it was stored.
    client.delete(redis_key(settings.feast_project, {"visitor_id": "r1", "session_id": "s"}))
    produce(settings, session("r2", 1))
    with running(settings) as count:
        eventually(lambda: read(settings, SESSION, visitor_id="r2", session_id="s").found)
        assert count("rebuilds") == 0
        assert not read(settings, SESSION, visitor_id="r1", session_id="s").found

        # Flushed while it runs: everything comes back.
        client.flushall()
        eventually(lambda: read(settings, SESSION, visitor_id="r1", session_id="s").found)
        eventually(lambda: read(settings, SESSION, visitor_id="r2", session_id="s").found)
        assert count("rebuilds") == settings.kafka_partitions

    # Flushed while it is down: the same.
    client.flushall()
    with running(settings):
        eventually(lambda: read(settings, SESSION, visitor_id="r2", session_id="s").found)


@pytest.mark.usefixtures("servers")
def test_a_readable_withdrawal_has_taken_the_rows_away(settings: Settings) -> None:
    """And read again, after a new grant, it takes nothing away."""
    client = VersionedRedisOnlineStore().client(online_config(settings))
    granted_at = START - 10**9

    def rows(changed_at: int, seconds: int) -> list[dict[str, Any]]:
        made = {"newest_event_time": START + seconds * 1_000_000, "consent_changed_at": changed_at}
        shopper = {"view": "shopper", "shopper_id": "user:t", "events_seen": 2}
        return [session("t1", 2, session_carts=1) | made, shopper | made]

    def found() -> set[bool]:
        session_row = read(settings, SESSION, visitor_id="t1", session_id="s")
        return {session_row.found, read(settings, SHOPPER, shopper_id="user:t").found}

    def readable(seen: int) -> bool:
        return read(settings, CONSENT, shopper_id="user:t").features["events_seen"] == seen

    with running(settings) as count:
        produce(settings, consent("user:t", 1, -900, "granted", "t1"), *rows(granted_at, 0))
        eventually(lambda: found() == {True})
        produce(settings, consent("user:t", 2, 60, "denied", "t1"))
        eventually(lambda: readable(2))
        assert found() == {False}
        # Session, shopper, user and vector; the latter two were never there.
        eventually(lambda: count("withdrawn") == 4)
        produce(settings, *rows(granted_at, 30))  # of before, delivered late
        produce(settings, consent("user:t", 3, 120, "granted", "t1"))
        eventually(lambda: readable(3))
        produce(settings, *rows(START + 120_000_000, 180))
        eventually(lambda: found() == {True})

        for mark in client.scan_iter("feature-writer:*"):
            client.delete(mark)
        eventually(lambda: count("rebuilds") == settings.kafka_partitions)
        produce(settings, session("t2", 1))
        eventually(lambda: read(settings, SESSION, visitor_id="t2", session_id="s").found)
        assert found() == {True}
        assert count("withdrawn") == 4


@pytest.mark.usefixtures("servers")
def test_a_withdrawal_under_both_keys_takes_the_guests_rows_and_an_old_tab_brings_none_back(
    settings: Settings,
) -> None:
    """The consent of an event with a user counts for the user and for the device; the laptop sends the old grant on."""
    shoppers = ("user:d", "visitor:d1")
    granted_at = START - 10**9

    def rows(changed_at: int, seconds: int) -> list[dict[str, Any]]:
        made = {"newest_event_time": START + seconds * 1_000_000, "consent_changed_at": changed_at}
        return [{"view": "shopper", "shopper_id": name, "events_seen": 2} | made for name in shoppers]

    def consents(seen: int, seconds: int, personalization: str) -> list[dict[str, Any]]:
        return [consent(name, seen, seconds, personalization, "d1") for name in shoppers]

    def found() -> list[bool]:
        return [read(settings, SHOPPER, shopper_id=name).found for name in shoppers]

    def readable(seen: int) -> bool:
        reads = [read(settings, CONSENT, shopper_id=name) for name in shoppers]
        return all(row.features["events_seen"] == seen for row in reads)

    with running(settings) as count:
        produce(settings, *consents(1, -900, "granted"), *rows(granted_at, 0))
        eventually(lambda: found() == [True, True])
        produce(settings, *consents(2, 60, "denied"))
        eventually(lambda: readable(2))
        assert found() == [False, False]
        produce(settings, *rows(granted_at, 70))
        eventually(lambda: count("older") == 2)
        assert found() == [False, False]
        produce(settings, *consents(3, 80, "granted"), *rows(START + 80_000_000, 81))
        eventually(lambda: found() == [True, True])
        produce(settings, *rows(granted_at, 90))
        eventually(lambda: count("older") == 4)
        reads = [read(settings, SHOPPER, shopper_id=name) for name in shoppers]
        assert [row.version for row in reads] == [(START + 81_000_000, 2)] * 2


@pytest.mark.usefixtures("servers")
def test_the_store_says_when_it_is_not_whole(settings: Settings) -> None:
    client = VersionedRedisOnlineStore().client(online_config(settings))
    key, partitions = progress_key(settings.feast_project), range(settings.kafka_partitions)

    def held() -> dict[bytes, bytes]:
        found: Any = client.hgetall(key)
        return dict(found)

    produce(settings, session("x1", 1))
    with running(settings):
        eventually(lambda: read(settings, SESSION, visitor_id="x1", session_id="s").found)
        eventually(lambda: is_whole(held()))
    # A partition that is being read again, one that was lost, a store of which nothing is known.
    progress = Progress(client, settings.feast_project)
    ends = progress.positions(partitions)
    progress.begin({0: Bounds(0, ends[0] + 1)}, len(partitions))
    assert not is_whole(held())
    client.hdel(key, "0", until_field(0))
    assert not is_whole(held())
    client.delete(key)
    assert not is_whole(held())
    # Read again to the end it is whole.
    with running(settings) as count:
        eventually(lambda: is_whole(held()))
        assert count("rebuilds") == len(partitions)
        assert progress.positions(partitions) == ends


@pytest.mark.usefixtures("servers")
def test_what_redis_has_lost_of_its_newest_is_read_again(settings: Settings) -> None:
    """As after a crash of its machine: the rows of the last second are gone, and so is what was said of them."""
    client = VersionedRedisOnlineStore().client(online_config(settings))
    progress = Progress(client, settings.feast_project)
    with running(settings) as count:
        produce(settings, session("l1", 1))
        eventually(lambda: read(settings, SESSION, visitor_id="l1", session_id="s").found)
        before = progress.positions(range(settings.kafka_partitions))
        produce(settings, session("l1", 2))
        eventually(lambda: read(settings, SESSION, visitor_id="l1", session_id="s").version == (START, 2))
        client.delete(redis_key(settings.feast_project, {"visitor_id": "l1", "session_id": "s"}))
        progress.reached(before)
        eventually(lambda: read(settings, SESSION, visitor_id="l1", session_id="s").version == (START, 2))
        assert count("rebuilds") == 0
    # More than there is: the topic was made anew.
    progress.reached({0: 10**9})
    with running(settings) as count:
        eventually(lambda: count("rebuilds") == 1)
        eventually(lambda: progress.positions([0])[0] < 10**9)


@pytest.mark.usefixtures("servers")
def test_a_forgotten_device_is_gone_from_every_view_also_after_a_flush(settings: Settings) -> None:
    client = VersionedRedisOnlineStore().client(online_config(settings))
    at, made = START + 50_000_000, {"consent_changed_at": START}

    def rows(seconds: int, seen: int, changed_at: int) -> list[dict[str, Any]]:
        more = {
            "newest_event_time": START + seconds * 1_000_000,
            "events_seen": seen,
            "consent_changed_at": changed_at,
        }
        shopper = {"view": "shopper", "shopper_id": "visitor:f*", **more}
        return [session("f*", seen) | more, session("f*", seen) | more | {"session_id": "s2"}, shopper]

    def found() -> list[bool]:
        sessions = [read(settings, SESSION, visitor_id="f*", session_id=name).found for name in ("s", "s2")]
        shopper = {"shopper_id": "visitor:f*"}
        return [*sessions, read(settings, SHOPPER, **shopper).found, read(settings, CONSENT, **shopper).found]

    with running(settings) as count:
        produce(settings, *rows(0, 1, START), consent("visitor:f*", 1, 0, "granted", "f*"))
        produce(settings, session("fx", 1) | made)  # its name only looks alike
        eventually(lambda: found() == [True] * 4)
        records = erasures(settings, client, "visitor", "f*", at)
        assert sorted(record.key.get("session_id", "") for record in records) == ["", "s", "s2"]
        send(settings, records)
        # Two sessions; shopper and consent.
        eventually(lambda: count("erased") == 4)
        assert found() == [False] * 4
        # What Flink still knows of before does not land; what begins afterwards does.
        produce(settings, *rows(60, 2, START), consent("visitor:f*", 2, 40, "granted", "f*"))
        eventually(lambda: count("older") == 4)
        assert found() == [False] * 4
        client.flushall()
        eventually(lambda: count("rebuilds") == settings.kafka_partitions)
        eventually(lambda: read(settings, SESSION, visitor_id="fx", session_id="s").found)
        eventually(lambda: is_whole(client.hgetall(progress_key(settings.feast_project))))  # type: ignore[arg-type]
        assert found() == [False] * 4
        produce(settings, *rows(70, 1, at + 1), consent("visitor:f*", 3, 70, "granted", "f*"))
        eventually(lambda: found() == [True] * 4)


def test_survives_a_restart_of_redis(settings: Settings, servers: LocalStack) -> None:
    with running(settings) as count:
        produce(settings, session("k1", 1))
        eventually(lambda: read(settings, SESSION, visitor_id="k1", session_id="s").found)
        servers.down(["redis"])
        produce(settings, session("k2", 1))
        eventually(lambda: count("retries") > 0)
        servers.up(["redis"])
        eventually(lambda: read(settings, SESSION, visitor_id="k2", session_id="s").found)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"view": "user", "user_id": "u", "newest_event_time": 1, "events_seen": 1}',
        json.dumps(session("", 1)).encode(),
        json.dumps(session("v", -1)).encode(),
        json.dumps(session("v", 1, session_carts="1")).encode(),
        json.dumps(session("v", 1, session_carts=2**63)).encode(),
        json.dumps(session("v", 1, session_last_items=["a", None])).encode(),
    ],
)
def test_poison_is_refused_by_name(value: bytes) -> None:
    with pytest.raises(PoisonError):
        read_record(value)


def records(view: View, *placed: tuple[int, ...]) -> list[Any]:
    """Of one key, by (choice, newest event time, events seen, session_carts)."""
    names = ("consent_changed_at", "newest_event_time", "events_seen", "session_carts")
    keys = {"view": view.name, **dict.fromkeys(view.join_keys, "v")}
    return [
        read_record(json.dumps({**keys, **dict(zip(names, one, strict=True))}).encode()) for one in placed
    ]


def test_of_a_batch_the_row_stays_that_the_store_would_keep() -> None:
    # The later choice, then the greater version; of equal ones the later record.
    read = records(SESSION, (5, 90, 9, 0), (7, 40, 2, 1), (7, 40, 3, 2), (7, 40, 3, 3), (7, 40, 1, 4))
    assert newest_records(read) == {"session": [read[3]]}
    # Numbers, not bytes: 127 before 128.
    read = records(SESSION, (128, 1, 1, 0), (127, 9, 9, 0))
    assert newest_records(read) == {"session": [read[0]]}


def test_every_withdrawal_of_a_batch_counts_also_one_that_a_grant_follows(
    settings: Settings, servers: LocalStack
) -> None:
    online = VersionedRedisOnlineStore()
    old = session("w1", 3, consent_changed_at=START)
    writer = FeatureWriter(settings, FixedClock(from_micros(START)), WriterMetrics())
    batch = [old, consent("visitor:w1", 4, 10, "denied", "w1"), consent("visitor:w1", 5, 20, "granted", "w1")]
    given = [read_record(json.dumps(record).encode()) for record in batch]
    writer._write(given, newest_records(given))
    assert not read(settings, SESSION, visitor_id="w1", session_id="s").found
    held = online.client(online_config(settings)).hkeys(
        redis_key(settings.feast_project, {"visitor_id": "w1", "session_id": "s"})
    )
    assert held == [b"_v:session"]

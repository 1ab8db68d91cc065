"""The feature writer on a real broker and a real Redis: poison, bursts of one key, restarts, a flush."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Consumer
from redis import Redis

from contracts.clock import FixedClock, from_micros
from contracts.features import CONSENT, SESSION, SHOPPER, View
from contracts.online import is_whole, progress_key, redis_key
from contracts.settings import TOPICS, Settings
from feature_repo.metrics import WriterMetrics
from feature_repo.patience import Patience
from feature_repo.positions import Positions
from feature_repo.progress import Progress
from feature_repo.repo import online_config
from feature_repo.rows import PoisonError, newest_records, read_record
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.writer import GROUP, FeatureWriter
from infra.stack import LocalStack
from tests.feature_repo.writer_kit import START, consent, eventually, produce, read, running, session


def progress_of(client: Redis, settings: Settings) -> dict[bytes, bytes]:
    held: Any = client.hgetall(progress_key(settings.feast_project))
    return dict(held)


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
def test_a_key_that_is_taken_holds_no_other_row_up(settings: Settings) -> None:
    client = VersionedRedisOnlineStore().client(online_config(settings))
    taken = redis_key(settings.feast_project, {"visitor_id": "k1", "session_id": "s"})
    client.set(taken, "no hash")
    with running(settings) as count:
        produce(settings, session("k0", 1), session("k1", 1), session("k2", 1))
        eventually(lambda: count("poison") == 1)
        eventually(
            lambda: all(read(settings, SESSION, visitor_id=v, session_id="s").found for v in ("k0", "k2"))
        )
    client.delete(taken)


@pytest.mark.usefixtures("servers")
def test_what_redis_lost_while_no_writer_looked_is_read_again_before_rows_are_used(
    settings: Settings,
) -> None:
    """A machine that died: writer and Redis are back, Redis a second older than what Kafka was told."""
    client = VersionedRedisOnlineStore().client(online_config(settings))
    with running(settings):
        produce(settings, session("l1", 1))
        eventually(lambda: read(settings, SESSION, visitor_id="l1", session_id="s").found)
    stored = {int(name): int(at) for name, at in progress_of(client, settings).items() if name.isdigit()}
    older = {str(number): max(0, at - 1) for number, at in stored.items()}
    client.hset(progress_key(settings.feast_project), mapping=older)
    client.delete(redis_key(settings.feast_project, {"visitor_id": "l1", "session_id": "s"}))
    metrics = WriterMetrics()
    progress = Progress(client, settings.feast_project)
    positions = Positions(TOPICS.online_features, progress, Patience(metrics), metrics)
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": GROUP})
    consumer.subscribe([TOPICS.online_features], on_assign=positions.assigned)
    while 0 not in positions:
        consumer.poll(0.1)
    assert not is_whole(progress_of(client, settings))
    consumer.close()
    with running(settings):
        eventually(lambda: is_whole(progress_of(client, settings)))
        assert read(settings, SESSION, visitor_id="l1", session_id="s").found


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

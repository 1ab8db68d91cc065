"""The store says how far it is: what is lost, in part or whole, is read again, and what was forgotten stays away."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.features import CONSENT, SESSION, SHOPPER
from contracts.online import is_whole, progress_key, redis_key, until_field
from contracts.settings import Settings
from feature_repo.forget import erasures, send
from feature_repo.progress import Bounds, Progress
from feature_repo.repo import online_config
from feature_repo.store import VersionedRedisOnlineStore
from infra.stack import LocalStack
from tests.feature_repo.writer_kit import START, consent, eventually, produce, read, running, session


@pytest.fixture(scope="module")
def servers(settings: Settings, stack: LocalStack) -> LocalStack:
    stack.up(["redis", "kafka"])
    return stack


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
        now = progress.positions(before)
        assert progress.reached({number: (now[number], offset) for number, offset in before.items()})
        eventually(lambda: read(settings, SESSION, visitor_id="l1", session_id="s").version == (START, 2))
        assert count("rebuilds") == 0
    # More than there is: the topic was made anew.
    assert progress.reached({0: (progress.positions([0])[0], 10**9)})
    with running(settings) as count:
        eventually(lambda: count("rebuilds") == 1)
        eventually(lambda: progress.positions([0])[0] < 10**9)
        # To its end: what another test's writer reads of it would count there.
        eventually(lambda: is_whole(client.hgetall(progress_key(settings.feast_project))))  # type: ignore[arg-type]


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


@pytest.mark.usefixtures("servers")
def test_what_was_lost_while_a_batch_was_written_is_not_hidden_by_its_position(settings: Settings) -> None:
    """Redis comes back empty, or older, between two batches: the writer's next word must not make it look whole."""
    client = VersionedRedisOnlineStore().client(online_config(settings))
    key, progress = progress_key(settings.feast_project), Progress(client, settings.feast_project)
    with running(settings):
        eventually(
            lambda: len(progress.positions(range(settings.kafka_partitions))) == settings.kafka_partitions
        )
    held = progress.positions([0, 1])
    assert not progress.reached({0: (held[0] + 5, held[0] + 9), 1: (held[1], held[1])})
    assert progress.positions([0, 1]) == held
    client.delete(key)
    assert not progress.reached({0: (held[0], held[0] + 9)}, passed=[0])
    assert client.exists(key) == 0
    with running(settings):
        eventually(lambda: is_whole(client.hgetall(key)))  # type: ignore[arg-type]

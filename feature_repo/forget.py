"""Erasure: every row of one user or one device goes from the online store, and nothing of before comes back.

The erasure is a record of `online_features`, so that a store that is filled again from the topic does without the rows too.
The lake and the topics of events keep their own retention.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Producer
from redis import Redis

from contracts.errors import BraidError
from contracts.features import SESSION
from contracts.online import key_prefix
from contracts.settings import TOPICS, Settings
from feature_repo.rows import Forgotten

FLUSH_SECONDS = 60
SIZE = struct.Struct("<I")


class ForgetError(BraidError):
    """Kafka did not take an erasure."""


def erasures(settings: Settings, client: Redis, kind: str, name: str, at: int) -> list[Forgotten]:
    """The erasures of `user` or `visitor` `name` at `at` (epoch µs): one, and one for each session that the store holds."""
    keys: dict[str, str] = {"shopper_id": f"{kind}:{name}", f"{kind}_id": name}
    sessions = _sessions(settings, client, name) if kind == "visitor" else iter(())
    named = ({"visitor_id": name, "session_id": session} for session in sessions)
    return [Forgotten(at=at, key=keys), *(Forgotten(at=at, key=key) for key in named)]


def send(settings: Settings, records: list[Forgotten]) -> None:
    """Put the erasures into the topic.

    Raises:
        ForgetError: Kafka did not confirm all.
    """
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "enable.idempotence": True})
    for record in records:
        key = msgspec.json.encode({"view": "forgotten", **record.key})
        producer.produce(
            TOPICS.online_features,
            msgspec.json.encode(record),
            key,
            on_delivery=lambda error, _: failed.append(str(error)) if error else None,
        )
    left = producer.flush(FLUSH_SECONDS)
    if failed or left:
        raise ForgetError(
            f"{len(failed) + left} of {len(records)} erasures were not taken: {failed[:1]}; run it again"
        )


def _sessions(settings: Settings, client: Redis, visitor: str) -> Iterator[str]:
    """The sessions of a device that have a row; the key's first value is the session, its second the device."""
    prefix, end = key_prefix(SESSION.join_keys), settings.feast_project.encode()
    device = SIZE.pack(2) + SIZE.pack(len(visitor.encode())) + visitor.encode()
    found: Any = client.scan_iter(_escaped(prefix) + b"*" + _escaped(device + end), count=1000)
    for key in found:
        (size,) = SIZE.unpack_from(key, len(prefix) + SIZE.size)
        start = len(prefix) + 2 * SIZE.size
        if key[start + size :] == device + end:
            yield key[start : start + size].decode()


def _escaped(pattern: bytes) -> bytes:
    """For Redis' patterns."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in pattern)

"""A million shoppers in Redis: rows of every view in Feast's layout, of a thousand different contents; keys alone are each one's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from random import Random

import msgspec
from redis import Redis

from contracts.clock import to_micros
from contracts.consent import state_of
from contracts.errors import BraidError
from contracts.events import PURPOSES
from contracts.features import CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING, Value, View
from contracts.online import (
    PARTITIONS,
    encode_value,
    encode_version,
    feature_field,
    progress_key,
    redis_key,
    timestamp_field,
    version_field,
)
from contracts.online_values import encode_timestamp
from contracts.settings import Settings
from infra.bench.features.shoppers import AT
from infra.bench.scorer.catalog import CLUSTER, item_id

DIFFERENT = 1_000
IN_SESSION = 100
"""Every so many-th shopper is in a session."""
BATCH = 2_000
NOW = to_micros(AT)
DAY = 86_400_000_000

Fields = dict[bytes, bytes]
Packed = Mapping[str, tuple[bytes, bytes]]


class BenchError(BraidError):
    """What is measured did not start, or what it is measured with ended early."""


def write_shoppers(settings: Settings, shoppers: int, items: int, seed: int = 0) -> int:
    """Write them; how many hashes."""
    chance, project = Random(seed), settings.feast_project
    packed = [_packed(contents_of(Random(chance.random()), items)) for _ in range(DIFFERENT)]
    written = 0
    with Redis.from_url(settings.redis_url) as redis:
        redis.hset(progress_key(project), PARTITIONS, "0")
    # A client packs each of a hash's hundred fields in Python: of a million shoppers that takes longer than all else here.
    with socket.create_connection((settings.host, settings.port("redis"))) as line:
        for start in range(0, shoppers, BATCH):
            sent = [
                b"%b$%d\r\n%b%b" % (head, len(key), key, tail)
                for number in range(start, min(start + BATCH, shoppers))
                for key, (head, tail) in _hashes(project, number, packed[number % DIFFERENT])
            ]
            line.sendall(b"".join(sent))
            _await(line, len(sent))
            written += len(sent)
    return written


def bodies(shoppers: int, asked: int, items: int, seed: int = 1) -> list[bytes]:
    """Requests of so many different shoppers, half of them in a session, a third on a product's page."""
    chance = Random(seed)
    found = []
    for n in range(asked):
        number = chance.randrange(shoppers)
        number -= number % IN_SESSION if n % 2 else 0
        asks = {**who(number), "count": 10}
        if n % 3 == 0:
            asks["item_id"] = item_id(chance.randrange(items))
        found.append(msgspec.json.encode(asks))
    return found


def who(number: int) -> dict[str, str]:
    """A shopper's ids."""
    return {"visitor_id": f"v{number}", "user_id": f"u{number}", "session_id": f"s{number}"}


def _hashes(project: str, number: int, packed: Packed) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Keys and packed contents of one shopper's hashes."""
    ids = who(number)
    yield redis_key(project, {"shopper_id": f"user:{ids['user_id']}"}), packed["shopper"]
    yield redis_key(project, {"user_id": ids["user_id"]}), packed["user"]
    if number % IN_SESSION == 0:
        key = {"visitor_id": ids["visitor_id"], "session_id": ids["session_id"]}
        yield redis_key(project, key), packed["session"]


def _packed(contents: Mapping[str, Fields]) -> Packed:
    """Each hash as Redis's protocol has it, before and after its key: an HSET of all fields."""
    hashes = {
        "shopper": contents[CONSENT.name] | contents[SHOPPER.name],
        "user": contents[USER.name] | contents[USER_EMBEDDING.name],
        "session": contents[SESSION.name],
    }
    return {
        name: (
            b"*%d\r\n$4\r\nHSET\r\n" % (2 + 2 * len(fields)),
            b"\r\n"
            + b"".join(
                b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(field), field, len(value), value)
                for field, value in fields.items()
            ),
        )
        for name, fields in hashes.items()
    }


def _await(line: socket.socket, count: int) -> None:
    """Wait for so many answers.

    Raises:
        BenchError: Redis refused one.
    """
    answered = b""
    while answered.count(b"\r\n") < count:
        if not (piece := line.recv(1 << 16)):
            raise BenchError("Redis hung up")
        answered += piece
    if b"-" in answered:
        raise BenchError(f"Redis refused a shopper: {answered[answered.index(b'-') :][:200]!r}")


def contents_of(chance: Random, items: int) -> dict[str, Fields]:
    """Each view's fields of one shopper, who likes some clusters of the catalog."""
    liked = [chance.randrange(items) for _ in range(4)]

    def near(count: int) -> list[str]:
        return [item_id((chance.choice(liked) + chance.randrange(CLUSTER)) % items) for _ in range(count)]

    granted: dict[str, Value] = {**dict.fromkeys((f"consent_{p}" for p in PURPOSES), "granted")}
    state = state_of({**granted, "consent_changed_at": NOW - 30 * DAY})
    seen = [f"{NOW - n * DAY}\n" + "\n".join(near(8)) for n in range(1, 6)]
    return {
        CONSENT.name: _fields(CONSENT, {"consent_state": state}),
        SHOPPER.name: _fields(SHOPPER, {"shopper_last_lists": seen, "shopper_last_orders": seen[:2]}),
        SESSION.name: _fields(
            SESSION,
            {
                "session_events": 12,
                "session_last_items": near(10),
                "session_last_carted": near(2),
                "session_first_event_at": NOW - 600_000_000,
                "session_last_event_at": NOW - 20_000_000,
            },
        ),
        USER.name: _fields(
            USER,
            {
                "user_last_items": near(30),
                "user_top_items_90d": near(30),
                "user_carts_90d": 60,
                "user_purchases_90d": 9,
                "user_spend_minor_90d": 120_000,
                "user_last_orders_90d": seen[:3],
                "user_cut_end_at": NOW - DAY // 3,
            },
        ),
        USER_EMBEDDING.name: _fields(
            USER_EMBEDDING,
            {"user_vector": [chance.gauss(0, 0.125) for _ in range(64)], "user_vector_model": "bench-1"},
        ),
    }


def _fields(view: View, values: Mapping[str, Value]) -> Fields:
    """A row as it lies in Redis; what is not given is what its feature defaults to."""
    stored = {feature.name: feature.default for feature in view.features} | dict(values)
    if view.starts_empty:
        stored |= {"consent_changed_at": NOW - 30 * DAY}
    types = dict(view.stored_columns)
    if "events_seen" in types:
        stored["events_seen"] = 12
    fields = {feature_field(view.name, name): encode_value(stored.get(name), types[name]) for name in types}
    fields[timestamp_field(view.name)] = encode_timestamp(NOW - 20_000_000)
    fields[version_field(view.name)] = encode_version((NOW - 20_000_000, 12))
    return fields

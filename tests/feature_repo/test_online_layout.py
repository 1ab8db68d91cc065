"""`contracts.online` reads what Feast's SDK reads, and our store writes what stock Feast writes."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import mmh3
import pandas as pd
import pytest
from feast import FeatureStore
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from redis import Redis

from contracts.clock import to_micros
from contracts.features import (
    CONSENT,
    SESSION,
    SHOPPER,
    USER,
    USER_EMBEDDING,
    VIEWS,
    FeatureType,
    Strand,
    View,
)
from contracts.online import (
    KEY_TTL_SECONDS,
    decode_row,
    decode_value,
    decode_version,
    encode_value,
    encode_version,
    fields_of,
    murmur3,
    redis_key,
    version_field,
)
from contracts.settings import Settings
from feature_repo.definitions import FEAST_TYPES
from feature_repo.repo import online_config, repo_config
from feature_repo.rows import columns_of, read_record
from feature_repo.store import VersionedRedisOnlineStore

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

EVENT_TIME = datetime(2011, 9, 2, 8, 15, 0, 123456, tzinfo=UTC)
CREATED = datetime(2011, 9, 2, 10, 0, tzinfo=UTC)
SAMPLES: dict[FeatureType, list[Any]] = {
    FeatureType.INT64: [0, 7, 1_314_951_300_123_456, -3],
    FeatureType.STRING: ["", "Kaffeebecher ☕", "x" * 300],
    FeatureType.STRING_LIST: [[], ["85123A", "", "Größe ☕"], ["y" * 200] * 50],
    FeatureType.FLOAT_LIST: [[], [0.5, -1.25, 0.0], [0.125] * 64],
}


def sample_rows(view: View, tag: str) -> list[dict[str, Any]]:
    """Rows that have, between them, every sample of every type, and None in each column that may be null."""
    rows = []
    for n in range(5):
        row: dict[str, Any] = {key: f"{tag}-{key}-é-{n}" for key in view.join_keys}
        for at, (name, dtype) in enumerate(view.stored_columns):
            samples = SAMPLES[dtype]
            nullable = name not in view.version
            row[name] = None if nullable and n == 4 else samples[(n + at) % len(samples)]
        if "events_seen" in row:
            row["events_seen"] = n + 1
        rows.append(row)
    return rows


def proto_rows(view: View, rows: list[dict[str, Any]]) -> list[Any]:
    """The rows as Feast's providers hand them to an online store."""
    made = []
    for row in rows:
        keys = [Value(string_val=row[key]) for key in view.join_keys]
        values = {
            name: python_values_to_proto_values([row[name]], FEAST_TYPES[dtype].to_value_type())[0]
            for name, dtype in view.stored_columns
        }
        made.append((EntityKey(join_keys=view.join_keys, entity_values=keys), values, EVENT_TIME, CREATED))
    return made


def hash_of(settings: Settings, client: Redis, view: View, row: dict[str, Any]) -> dict[bytes, bytes]:
    found: Any = client.hgetall(redis_key(settings.feast_project, {key: row[key] for key in view.join_keys}))
    return dict(found)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_reads_what_the_sdk_reads(settings: Settings, feast_store: FeatureStore, view: View) -> None:
    rows = sample_rows(view, f"sdk-{view.name}")
    feast_view = feast_store.get_feature_view(view.name)
    store, config = VersionedRedisOnlineStore(), repo_config(settings)
    store.online_write_batch(config, feast_view, proto_rows(view, rows), None)

    names = [name for name, _ in view.stored_columns]
    entities = [{key: row[key] for key in view.join_keys} for row in rows]
    entities.append(dict.fromkeys(view.join_keys, "nobody"))
    by_sdk = feast_store.get_online_features([f"{view.name}:{name}" for name in names], entities).to_dict()

    client = store.client(online_config(settings))
    for n, entity in enumerate(entities[:-1]):
        values: Any = client.hmget(redis_key(settings.feast_project, entity), fields_of(view))
        read = decode_row(view, values)
        assert read.found
        assert read.event_time_micros == to_micros(EVENT_TIME)
        assert read.features == {name: by_sdk[name][n] for name in names}
        second = read.features.get("events_seen", to_micros(CREATED))
        assert read.version == (to_micros(EVENT_TIME), second)
    values = client.hmget(redis_key(settings.feast_project, entities[-1]), fields_of(view))
    nobody = decode_row(view, values)
    assert (nobody.found, nobody.version, nobody.event_time_micros) == (False, None, None)
    assert nobody.features == {f.name: f.default for f in view.features} | dict.fromkeys(view.carried)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_writes_what_stock_feast_writes(settings: Settings, feast_store: FeatureStore, view: View) -> None:
    rows = sample_rows(view, f"stock-{view.name}")
    feast_view = feast_store.get_feature_view(view.name)
    ours, stock, config = VersionedRedisOnlineStore(), RedisOnlineStore(), repo_config(settings)
    client = ours.client(online_config(settings))

    stock.online_write_batch(config, feast_view, proto_rows(view, rows), None)
    expected = [hash_of(settings, client, view, row) for row in rows]
    for row in rows:
        client.delete(redis_key(settings.feast_project, {key: row[key] for key in view.join_keys}))
    ours.online_write_batch(config, feast_view, proto_rows(view, rows), None)

    for row, stock_hash in zip(rows, expected, strict=True):
        found = hash_of(settings, client, view, row)
        version = decode_version(found.pop(version_field(view.name)))
        assert version == (to_micros(EVENT_TIME), row.get("events_seen", to_micros(CREATED)))
        assert found == stock_hash
        key = redis_key(settings.feast_project, {key: row[key] for key in view.join_keys})
        assert 0 < int(client.ttl(key)) <= KEY_TTL_SECONDS  # type: ignore[arg-type]


@pytest.mark.parametrize("view", [CONSENT, SESSION, SHOPPER], ids=lambda view: view.name)
def test_a_record_of_the_topic_gives_the_same_bytes(
    settings: Settings, feast_store: FeatureStore, view: View
) -> None:
    rows = sample_rows(view, f"topic-{view.name}")
    ours, config = VersionedRedisOnlineStore(), repo_config(settings)
    client = ours.client(online_config(settings))
    ours.online_write_batch(config, feast_store.get_feature_view(view.name), proto_rows(view, rows), None)
    through_feast = [hash_of(settings, client, view, row) for row in rows]

    records = [{"view": view.name, "newest_event_time": to_micros(EVENT_TIME), **row} for row in rows]
    read = [read_record(json.dumps(record).encode()) for record in records]
    columns = columns_of(settings.feast_project, view.name, read)
    written = ours.write_columns(online_config(settings), columns)

    assert (written.rows, written.older) == (len(rows), 0)
    assert [hash_of(settings, client, view, row) for row in rows] == through_feast


def test_two_views_of_one_entity_share_a_hash(settings: Settings, feast_store: FeatureStore) -> None:
    """What Feast's own `write_to_online_store` gives for `user` and `user_embedding`, in one HMGET each."""
    times = {"event_timestamp": [EVENT_TIME], "created_timestamp": [CREATED]}
    user = {name: [None if dtype is not FeatureType.INT64 else 5] for name, dtype in USER.stored_columns}
    feast_store.write_to_online_store(USER.name, pd.DataFrame({"user_id": ["both"], **user, **times}))
    vector = {"user_vector": [[0.5] * 64], "user_vector_model": ["m1"]}
    feast_store.write_to_online_store(
        USER_EMBEDDING.name, pd.DataFrame({"user_id": ["both"], **vector, **times})
    )

    client = VersionedRedisOnlineStore().client(online_config(settings))
    key = redis_key(settings.feast_project, {"user_id": "both"})
    of_user: Any = client.hmget(key, fields_of(USER))
    of_vector: Any = client.hmget(key, fields_of(USER_EMBEDDING))
    assert decode_row(USER, of_user).features["user_spend_minor_90d"] == 5
    assert decode_row(USER, of_user).features["user_last_items"] is None
    assert decode_row(USER_EMBEDDING, of_vector).features == {
        "user_vector": [0.5] * 64,
        "user_vector_model": "m1",
    }


def test_murmur3_is_feasts() -> None:
    chance = random.Random(3)
    for size in range(40):
        data = chance.randbytes(size)
        assert murmur3(data) == mmh3.hash(data, signed=False)


def test_versions_compare_as_their_bytes() -> None:
    versions = [(0, 0), (0, 255), (0, 256), (1, 0), (1_314_951_300_123_456, 3), (2**63, 1)]
    assert sorted(map(encode_version, reversed(versions))) == [
        encode_version(version) for version in versions
    ]


@pytest.mark.parametrize("dtype", SAMPLES)
def test_a_value_cut_short_is_an_error(dtype: FeatureType) -> None:
    whole = encode_value(SAMPLES[dtype][1], dtype)
    assert decode_value(whole) == SAMPLES[dtype][1]
    for end in range(1, len(whole)):
        with pytest.raises(ValueError, match=r"cut short|codec|buffer|not a declared"):
            decode_value(whole[:end])


def test_batch_and_stream_rows_have_their_own_second_version() -> None:
    assert all(("events_seen" in view.carried) == (view.strand is Strand.STREAM) for view in VIEWS)

"""Whole columns become the same bytes as values one by one, and a table the same hashes as Feast's rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureStore, FeatureView, Field
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.infra.passthrough_provider import PassthroughProvider
from feast.types import Bool, Float64, Int32, Int64, String, UnixTimestamp
from feast.value_type import ValueType
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from redis import Redis

from contracts.clock import to_micros
from contracts.features import USER_EMBEDDING, VIEWS, FeatureType, View
from contracts.online import decode_version, encode_value, encode_version, redis_key, version_field
from contracts.settings import Settings
from feature_repo.arrow_values import ARROW_TYPES, encode_column, encode_keys, encode_versions
from feature_repo.repo import online_config, repo_config
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.tables import TableLayout
from tests.feature_repo.test_online_layout import CREATED, EVENT_TIME, hash_of, proto_rows, sample_rows

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

TEXT = st.text(max_size=300)
VALUES: dict[FeatureType, st.SearchStrategy[Any]] = {
    FeatureType.INT64: st.integers(-(2**63), 2**63 - 1),
    FeatureType.STRING: TEXT,
    FeatureType.STRING_LIST: st.lists(TEXT, max_size=60),
    FeatureType.FLOAT_LIST: st.lists(st.floats(width=32, allow_nan=False), max_size=70),
}


@pytest.mark.parametrize("dtype", VALUES)
def test_a_column_is_its_values(dtype: FeatureType) -> None:
    @given(st.lists(st.none() | VALUES[dtype], max_size=30), st.integers(0, 5))
    @given_settings(max_examples=60, deadline=None)
    def check(values: list[Any], begin: int) -> None:
        column = pa.array(values, ARROW_TYPES[dtype]).slice(begin)
        expected = [encode_value(value, dtype) for value in values[begin:]]
        assert encode_column(column, dtype).to_pylist() == expected

    check()


def test_what_is_not_of_the_type_is_refused() -> None:
    for values, dtype in (([["a", None]], FeatureType.STRING_LIST), ([["a"]], FeatureType.INT64)):
        with pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError)):
            encode_column(pa.array(values), dtype)


def test_keys_and_versions_are_those_of_single_rows() -> None:
    names, sessions = ["a", "é" * 40, ""], ["s1", "s", "☕"]
    keys = encode_keys([("visitor_id", pa.array(names)), ("session_id", pa.array(sessions))], "braid")
    pairs = zip(names, sessions, strict=True)
    assert keys.to_pylist() == [redis_key("braid", {"visitor_id": v, "session_id": s}) for v, s in pairs]
    versions = [(0, 0), (2**62, 3), (1_314_951_300_123_456, 2**63 - 1)]
    first, second = (pa.array(part) for part in zip(*versions, strict=True))
    assert encode_versions(first, second).to_pylist() == [encode_version(version) for version in versions]


def table_of(view: View, rows: list[dict[str, Any]]) -> pa.Table:
    types = {name: ARROW_TYPES[dtype] for name, dtype in view.stored_columns}
    types |= dict.fromkeys(view.join_keys, pa.string())
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    times = {"event_timestamp": [EVENT_TIME] * len(rows), "created_timestamp": [CREATED] * len(rows)}
    return pa.table(columns | times)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_table_gives_the_hashes_of_feasts_rows(
    settings: Settings, feast_store: FeatureStore, view: View
) -> None:
    rows = sample_rows(view, f"table-{view.name}")
    feast_view, ours, config = (
        feast_store.get_feature_view(view.name),
        VersionedRedisOnlineStore(),
        repo_config(settings),
    )
    client = ours.client(online_config(settings))
    ours.online_write_batch(config, feast_view, proto_rows(view, rows), None)
    by_rows = [hash_of(settings, client, view, row) for row in rows]
    for row in rows:
        client.delete(redis_key(settings.feast_project, {key: row[key] for key in view.join_keys}))

    # In two chunks: what comes from Spark comes in batches.
    table = table_of(view, rows)
    written = ours.write_table(config, feast_view, pa.concat_tables([table.slice(0, 2), table.slice(2)]))
    assert (written.rows, written.older) == (len(rows), 0)
    assert [hash_of(settings, client, view, row) for row in rows] == by_rows
    # Of the same versions the later write stands; of older ones none.
    older = table.set_column(
        table.schema.get_field_index("event_timestamp"),
        "event_timestamp",
        pa.array([datetime(2011, 9, 1, tzinfo=UTC)] * 5),
    )
    assert ours.write_table(config, feast_view, older).older == 5


def test_types_that_braid_does_not_declare_go_feasts_way(
    settings: Settings, feast_store: FeatureStore
) -> None:
    """A view of somebody else's: keys that are numbers, floats, booleans, times."""
    view = FeatureView(
        name="foreign",
        entities=[Entity(name="number", value_type=ValueType.INT64)],
        schema=[
            Field(name="number", dtype=Int64),
            Field(name="score", dtype=Float64),
            Field(name="small", dtype=Int32),
            Field(name="on", dtype=Bool),
            Field(name="at", dtype=UnixTimestamp),
            Field(name="name", dtype=String),
        ],
        source=SparkSource(name="foreign", query="select 1", timestamp_field="event_timestamp"),
    )
    frame = pd.DataFrame(
        {"number": [1, 2], "score": [0.5, None], "small": [3, 4], "on": [True, False],
         "at": [EVENT_TIME, CREATED], "name": ["a", None], "event_timestamp": [EVENT_TIME, EVENT_TIME]}
    )  # fmt: skip
    config, ours = repo_config(settings), VersionedRedisOnlineStore()
    rows = PassthroughProvider._prep_rows_to_write_for_ingestion(view, frame)
    client: Redis = ours.client(online_config(settings))
    keys = TableLayout.of(settings.feast_project, view).columns(pa.Table.from_pandas(frame)).keys.to_pylist()
    RedisOnlineStore().online_write_batch(config, view, rows, None)
    stock: list[Any] = [client.hgetall(key) for key in keys]
    client.delete(*keys)
    assert ours.write_table(config, view, pa.Table.from_pandas(frame)).rows == 2
    found: list[Any] = [client.hgetall(key) for key in keys]
    assert [decode_version(row.pop(version_field("foreign"))) for row in found] == [
        (to_micros(EVENT_TIME), 0)
    ] * 2
    assert found == stock
    assert all(stock)


def test_bad_tables_are_refused_by_name(settings: Settings, feast_store: FeatureStore) -> None:
    view = feast_store.get_feature_view(USER_EMBEDDING.name)
    ours, config = VersionedRedisOnlineStore(), repo_config(settings)
    table = table_of(USER_EMBEDDING, sample_rows(USER_EMBEDDING, "bad"))
    with pytest.raises(ValueError, match="user_embedding lack user_vector_model"):
        ours.write_table(config, view, table.drop_columns(["user_vector_model"]))
    times = pa.array([EVENT_TIME] * 4 + [None], pa.timestamp("us", tz="UTC"))
    at = table.schema.get_field_index("event_timestamp")
    with pytest.raises(ValueError, match="1 times without event_timestamp"):
        ours.write_table(config, view, table.set_column(at, "event_timestamp", times))


def test_scripts_that_redis_forgot_are_loaded_again(settings: Settings, feast_store: FeatureStore) -> None:
    view, rows = feast_store.get_feature_view(USER_EMBEDDING.name), sample_rows(USER_EMBEDDING, "forgot")
    ours, config, table = VersionedRedisOnlineStore(), repo_config(settings), table_of(USER_EMBEDDING, rows)
    assert ours.write_table(config, view, table).rows == 5
    ours.client(online_config(settings)).script_flush()
    assert ours.write_table(config, view, table).rows == 5

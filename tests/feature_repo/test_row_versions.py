"""The newer row wins, whoever writes last and however the writers interleave."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from feast import FeatureStore
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from redis import Redis

from contracts.features import FeatureType
from contracts.online import decode_value, decode_version, encode_value, feature_field, version_field
from contracts.online_values import encode_timestamp
from contracts.settings import Settings
from feature_repo.encoded import EncodedRow
from feature_repo.repo import online_config
from feature_repo.store import VersionedRedisOnlineStore

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

FIELD = feature_field("session", "session_carts")
KEYS, VERSIONS = 15, 40


def row(key: str, version: tuple[int, int], value: int) -> EncodedRow:
    fields = {FIELD: encode_value(value, FeatureType.INT64), b"_ts:session": encode_timestamp(version[0])}
    return EncodedRow(key.encode(), "session", version, fields)


def held(client: Redis, key: str) -> tuple[tuple[int, int], Any]:
    version, value = client.hmget(key, [version_field("session"), FIELD])  # type: ignore[misc, arg-type]
    return decode_version(version), decode_value(value)


def write_shuffled(settings: Settings, tag: str, seed: int) -> tuple[int, int]:
    """One writer: every version of every key in an order of its own, in batches; (set, older)."""
    chance = random.Random(seed)
    rows = [
        row(f"{tag}-{key}", (1000 + number // 4, number), number)
        for key in range(KEYS)
        for number in range(VERSIONS)
    ]
    chance.shuffle(rows)
    store, config = VersionedRedisOnlineStore(), online_config(settings)
    done = [store.write_rows(config, rows[at : at + 20]) for at in range(0, len(rows), 20)]
    return sum(part.rows for part in done), sum(part.older for part in done)


@pytest.mark.usefixtures("feast_store")
@pytest.mark.parametrize("seed", [1, 2])
def test_the_newest_version_is_left_of_two_writers(settings: Settings, seed: int) -> None:
    tag = f"race-{seed}"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        writers = [pool.submit(write_shuffled, settings, tag, seed * 10 + n) for n in range(2)]
        counts = [writer.result(120) for writer in writers]

    client = VersionedRedisOnlineStore().client(online_config(settings))
    # The last of 40 versions is number 39: (1000 + 39 // 4, 39) = (1009, 39).
    for key in range(KEYS):
        assert held(client, f"{tag}-{key}") == ((1009, 39), 39)
    for replaced, older in counts:
        assert replaced + older == KEYS * VERSIONS
    assert all(older > 0 for _, older in counts)


@given(
    order=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 255, 256, 2**40])), min_size=1, max_size=12
    )
)
@given_settings(max_examples=40, deadline=None)
def test_any_order_leaves_the_greatest_version(
    settings: Settings, feast_store: FeatureStore, order: list[tuple[int, int]]
) -> None:
    """The value left is the last one written of the greatest version: equal versions replace."""
    store, config = VersionedRedisOnlineStore(), online_config(settings)
    client = store.client(config)
    client.delete("any-order")
    written = store.write_rows(config, [row("any-order", version, n) for n, version in enumerate(order)])

    greatest = max(order)
    last = max(n for n, version in enumerate(order) if version == greatest)
    assert held(client, "any-order") == (greatest, last)
    assert written.rows + written.older == len(order)


def test_a_correction_lands_and_a_stale_row_does_not(settings: Settings, feast_store: FeatureStore) -> None:
    store, config = VersionedRedisOnlineStore(), online_config(settings)
    client = store.client(config)
    client.delete("c")
    # A late event leaves the newest time and raises events_seen: 5 → 6. The row of 4 events comes too late.
    assert store.write_rows(config, [row("c", (100, 5), 1), row("c", (100, 6), 2)]).rows == 2
    assert store.write_rows(config, [row("c", (100, 4), 3), row("c", (99, 9), 4)]).older == 2
    assert held(client, "c") == ((100, 6), 2)
    # A row of stock Feast has no version: ours replaces it.
    client.hdel("c", version_field("session"))  # type: ignore[arg-type]
    assert store.write_rows(config, [row("c", (1, 1), 5)]).rows == 1
    assert held(client, "c") == ((1, 1), 5)

"""A withdrawal takes rows away, and nothing of before it comes back, whoever writes in whatever order."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from itertools import permutations
from multiprocessing import get_context
from typing import Any

import pytest
from feast import FeatureStore
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from redis import Redis

from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.features import SESSION, USER, USER_EMBEDDING, FeatureType, View
from contracts.online import (
    KEY_TTL_SECONDS,
    LAST_OF_INSTANT,
    TOMBSTONE_TTL_SECONDS,
    StoredRow,
    decode_row,
    decode_version,
    encode_value,
    feature_field,
    fields_of,
    redis_key,
    timestamp_field,
    version_field,
)
from contracts.online_values import encode_timestamp
from contracts.settings import Settings
from feature_repo.repo import online_config
from feature_repo.store import EncodedRow, Tombstone, VersionedRedisOnlineStore, Written
from feature_repo.withdrawals import keys_of, newest_tombstones, tombstones_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

KEYS = 15
SHOPPER_KEYS = {"shopper_id": "user:u", "user_id": "u", "visitor_id": "v", "session_id": "s"}


def state(personalization: str, changed_at: int) -> str:
    purposes = dict.fromkeys((f"consent_{purpose}" for purpose in PURPOSES), "granted")
    return state_of(
        {**purposes, "consent_personalization": personalization, "consent_changed_at": changed_at}
    )


def key_of(project: str, view: View, name: str) -> bytes:
    return redis_key(project, dict.fromkeys(view.join_keys, name))


def row(
    project: str, view: View, name: str, version: tuple[int, int], choice: int | None = None
) -> EncodedRow:
    """A row of `view` whose first number, or `consent_changed_at`, says which it is."""
    fields = {feature_field(view.name, feature.name): b"" for feature in view.features}
    if choice is not None:
        fields[feature_field(view.name, "consent_changed_at")] = encode_value(choice, FeatureType.INT64)
    fields[timestamp_field(view.name)] = encode_timestamp(version[0])
    return EncodedRow(key_of(project, view, name), view.name, version, fields)


def tombstone(project: str, view: View, name: str, changed_at: int) -> Tombstone:
    keys = dict.fromkeys(view.join_keys, name)
    (found,) = (t for t in tombstones_of(project, state("denied", changed_at), keys) if t.view == view.name)
    return found


class Online:
    """The store, and what it holds of one entity."""

    def __init__(self, settings: Settings) -> None:
        self.project = settings.feast_project
        self.config = online_config(settings)
        self.store = VersionedRedisOnlineStore()
        self.client: Redis = self.store.client(self.config)

    def write(self, *writes: EncodedRow | Tombstone) -> list[Written]:
        return [
            self.store.write_rows(self.config, [], [write])
            if isinstance(write, Tombstone)
            else self.store.write_rows(self.config, [write])
            for write in writes
        ]

    def read(self, view: View, name: str) -> StoredRow:
        values: Any = self.client.hmget(key_of(self.project, view, name), fields_of(view))
        return decode_row(view, values)

    def version(self, view: View, name: str) -> tuple[int, int] | None:
        held: Any = self.client.hget(key_of(self.project, view, name), version_field(view.name))  # type: ignore[arg-type]
        return None if held is None else decode_version(held)

    def seconds_left(self, view: View, name: str) -> int:
        left: Any = self.client.ttl(key_of(self.project, view, name))
        return int(left)


@pytest.fixture(scope="module")
def online(settings: Settings, feast_store: FeatureStore) -> Online:
    return Online(settings)


def test_a_tombstone_reads_as_no_row_here_and_in_the_sdk(online: Online, feast_store: FeatureStore) -> None:
    online.client.delete(key_of(online.project, USER, "gone"))
    online.write(row(online.project, USER, "gone", (100, 7)), tombstone(online.project, USER, "gone", 300))
    held: Any = online.client.hgetall(key_of(online.project, USER, "gone"))
    assert set(held) == {version_field("user")}
    read = online.read(USER, "gone")
    assert (read.found, read.version, read.event_time_micros) == (False, None, None)
    assert read.features == {feature.name: feature.default for feature in USER.features}
    names = [f"user:{feature.name}" for feature in USER.features]
    by_sdk = feast_store.get_online_features(names, [{"user_id": "gone"}]).to_dict()
    assert {name: by_sdk[name] for name in USER.feature_names} == {
        name: [None] for name in USER.feature_names
    }


def test_yesterdays_table_a_rerun_and_the_next_cut(online: Online) -> None:
    """Cuts end at 100 and 200 (published 10 later); the choice is from 150."""
    online.client.delete(key_of(online.project, USER, "cuts"))
    yesterday, next_cut = (row(online.project, USER, "cuts", version) for version in ((100, 110), (200, 210)))
    gone = tombstone(online.project, USER, "cuts", 150)
    assert [w.rows + w.tombstones for w in online.write(yesterday, gone, yesterday)] == [1, 1, 0]
    assert not online.read(USER, "cuts").found
    assert online.write(next_cut)[0].rows == 1
    # A withdrawal that arrives after the cut it should have been in: the very row cannot land again, a later one can.
    online.write(tombstone(online.project, USER, "cuts", 190))
    assert online.version(USER, "cuts") == (200, 210)
    assert [w.rows for w in online.write(next_cut, yesterday)] == [0, 0]
    again = row(online.project, USER, "cuts", (200, 211))
    assert online.write(again)[0].rows == 1


def test_a_row_at_the_instant_of_the_choice_is_of_before_it(online: Online) -> None:
    online.client.delete(key_of(online.project, SESSION, "tie"))
    online.write(tombstone(online.project, SESSION, "tie", 150))
    assert online.version(SESSION, "tie") == (150, LAST_OF_INSTANT)
    assert online.write(row(online.project, SESSION, "tie", (150, 9), 50))[0].rows == 0
    assert online.write(row(online.project, SESSION, "tie", (151, 1), 151))[0].rows == 1


def test_only_tombstones_expire_after_late_horizon(online: Online, settings: Settings) -> None:
    assert settings.late_horizon.total_seconds() == TOMBSTONE_TTL_SECONDS
    online.client.delete(key_of(online.project, USER, "ttl"))
    vector = row(online.project, USER_EMBEDDING, "ttl", (100, 110))
    online.write(row(online.project, USER, "ttl", (100, 110)), vector)
    online.write(tombstone(online.project, USER, "ttl", 150))
    # The vector still lives in the hash.
    assert TOMBSTONE_TTL_SECONDS < online.seconds_left(USER, "ttl") <= KEY_TTL_SECONDS
    online.write(tombstone(online.project, USER_EMBEDDING, "ttl", 150))
    assert 0 < online.seconds_left(USER, "ttl") <= TOMBSTONE_TTL_SECONDS
    online.client.expire(key_of(online.project, USER, "ttl"), 60)
    online.write(tombstone(online.project, USER, "ttl", 150))
    assert online.seconds_left(USER, "ttl") > 60
    online.write(row(online.project, USER, "ttl", (200, 210)))
    assert online.seconds_left(USER, "ttl") > TOMBSTONE_TTL_SECONDS


WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("row"), st.integers(0, 3), st.integers(0, 1), st.integers(0, 3)),
        st.tuples(st.just("tombstone"), st.integers(0, 3), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@given(WRITES)
@given_settings(max_examples=150, deadline=None)
def test_any_sequence_follows_the_rule(online: Online, writes: list[tuple[str, int, int, int]]) -> None:
    """The rule, said once more in Python: (version, choice) of a row, (version, None) of a tombstone."""
    online.client.delete(key_of(online.project, SESSION, "rule"))
    held: tuple[tuple[int, int], int | None] | None = None
    for kind, first, second, choice in writes:
        if kind == "row":
            online.write(row(online.project, SESSION, "rule", (first, second), choice))
            version = (first, second)
            if held is None or version > held[0] or (version == held[0] and held[1] is not None):
                held = (version, choice)
        else:
            online.write(tombstone(online.project, SESSION, "rule", first))
            version = (first, LAST_OF_INSTANT)
            if held is None or held[1] is None or held[1] <= first:
                held = (version if held is None else max(version, held[0]), None)
    read = online.read(SESSION, "rule")
    assert online.version(SESSION, "rule") == (None if held is None else held[0])
    assert read.features["consent_changed_at"] == (None if held is None else held[1])
    assert read.found is (held is not None and held[1] is not None)


def test_withdrawal_and_new_grant_end_the_same_in_every_order(online: Online) -> None:
    """Granted at 10, withdrawn at 50, granted again at 60: the row made under the new grant is left, or nothing."""
    old = [row(online.project, SESSION, "order", (at, at), 10) for at in (20, 50)]
    gone = tombstone(online.project, SESSION, "order", 50)
    new = row(online.project, SESSION, "order", (70, 1), 60)
    for writes, left in (([*old, gone], None), ([*old, gone, new], 60)):
        for order in permutations(writes):
            online.client.delete(key_of(online.project, SESSION, "order"))
            online.write(*order)
            assert online.read(SESSION, "order").features["consent_changed_at"] == left


def write_shuffled(settings: Settings, tag: str, seed: int) -> None:
    """One writer: rows of before and after a withdrawal of each key, and the withdrawal, in an order of its own."""
    online, chance = Online(settings), random.Random(seed)
    writes: list[EncodedRow | Tombstone] = []
    for name in (f"{tag}-{key}" for key in range(KEYS)):
        writes += [row(online.project, SESSION, name, (at, at), 10) for at in range(20, 50)]
        writes.append(tombstone(online.project, SESSION, name, 50))
        if name.endswith(("1", "3")):
            writes += [row(online.project, SESSION, name, (at, at), 60) for at in range(60, 70)]
    chance.shuffle(writes)
    online.write(*writes)


@pytest.mark.parametrize("seed", [1, 2])
def test_two_writers_leave_no_row_of_before(online: Online, settings: Settings, seed: int) -> None:
    tag = f"withdrawn-{seed}"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for writer in [pool.submit(write_shuffled, settings, tag, seed * 10 + n) for n in range(2)]:
            writer.result(120)
    for key in range(KEYS):
        again = str(key).endswith(("1", "3"))
        read = online.read(SESSION, f"{tag}-{key}")
        assert (read.found, read.version) == ((True, (69, 69)) if again else (False, None))


def test_what_a_consent_row_names() -> None:
    assert keys_of("user:u:1", "v", "s") == {**SHOPPER_KEYS, "shopper_id": "user:u:1", "user_id": "u:1"}
    assert keys_of("visitor:v", None, None) == {"shopper_id": "visitor:v"}

    def views(personalization: str, keys: dict[str, str]) -> set[str]:
        return {gone.view for gone in tombstones_of("braid", state(personalization, 5), keys)}

    assert views("denied", SHOPPER_KEYS) == {"session", "shopper", "user", "user_embedding"}
    assert views("unknown", {"shopper_id": "visitor:v", "visitor_id": "v"}) == {"shopper"}
    assert views("granted", SHOPPER_KEYS) == set()
    assert tombstones_of("braid", "1|0", SHOPPER_KEYS) == ()
    assert tombstones_of("braid", None, SHOPPER_KEYS) == ()


def test_the_newest_withdrawal_of_a_batch_is_enough() -> None:
    def withdrawal(changed_at: int, session: str) -> EncodedRow:
        keys = {**SHOPPER_KEYS, "session_id": session}
        gone = tombstones_of("braid", state("denied", changed_at), keys)
        return EncodedRow(b"k", "consent", (changed_at, 1), {}, gone)

    left = newest_tombstones([withdrawal(5, "s1"), withdrawal(9, "s2"), withdrawal(7, "s2")])
    # Two sessions, and of shopper, user and vector the newest.
    assert sorted((gone.view, gone.version[0]) for gone in left) == [
        ("session", 5),
        ("session", 9),
        ("shopper", 9),
        ("user", 9),
        ("user_embedding", 9),
    ]

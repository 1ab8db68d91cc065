"""A withdrawal takes rows away, and nothing of before it comes back: what it names, what is left, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from feast import FeatureStore
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from contracts.features import SESSION, USER, USER_EMBEDDING
from contracts.online import (
    KEY_TTL_SECONDS,
    LAST_OF_INSTANT,
    TOMBSTONE_TTL_SECONDS,
    encode_version,
    redis_key,
    version_field,
)
from contracts.settings import Settings
from feature_repo.encoded import Tombstone
from feature_repo.withdrawals import keys_of, newest_tombstones, tombstones_of
from tests.feature_repo.kit import Online, key_of, row, state, tombstone

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

SHOPPER_KEYS = {"shopper_id": "user:u", "user_id": "u", "visitor_id": "v", "session_id": "s"}


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
    assert online.write(yesterday, gone, yesterday) == [1, 1, 0]
    assert not online.read(USER, "cuts").found
    assert online.write(next_cut) == [1]
    # A withdrawal that arrives after the cut it should have been in: the very row cannot land again, a later one can.
    online.write(tombstone(online.project, USER, "cuts", 190))
    assert online.version(USER, "cuts") == (200, 210)
    assert online.write(next_cut, yesterday) == [0, 0]
    again = row(online.project, USER, "cuts", (200, 211))
    assert online.write(again) == [1]


def test_a_later_jobs_row_of_a_version_that_was_taken_away_does_not_land(online: Online) -> None:
    online.client.delete(key_of(online.project, USER, "job"))
    online.write(row(online.project, USER, "job", (200, 7)), tombstone(online.project, USER, "job", 150))
    held: Any = online.client.hget(key_of(online.project, USER, "job"), version_field("user"))  # type: ignore[arg-type]
    assert held == encode_version((200, 7))[:16] + b"\xff" * 8
    assert online.write(
        row(online.project, USER, "job", (200, 7)), row(online.project, USER, "job", (200, 8))
    ) == [0, 1]


def test_clearing_a_view_removes_rows_and_leaves_tombstones(
    online: Online, feast_store: FeatureStore
) -> None:
    for name in ("kept", "gone"):
        online.client.delete(key_of(online.project, USER, name))
        online.write(
            row(online.project, USER, name, (100, 7)), row(online.project, USER_EMBEDDING, name, (100, 7))
        )
    online.write(tombstone(online.project, USER, "gone", 300))
    online.store.delete_table(feast_store.config, feast_store.get_feature_view("user"))
    assert online.version(USER, "kept") is None
    assert online.read(USER_EMBEDDING, "kept").found
    assert online.version(USER, "gone") == (300, LAST_OF_INSTANT)
    assert online.write(row(online.project, USER, "gone", (200, 7))) == [0]


def test_a_row_at_the_instant_of_the_choice_is_of_before_it(online: Online) -> None:
    online.client.delete(key_of(online.project, SESSION, "tie"))
    online.write(tombstone(online.project, SESSION, "tie", 150))
    assert online.version(SESSION, "tie") == (150, LAST_OF_INSTANT)
    assert online.write(row(online.project, SESSION, "tie", (150, 9), 50)) == [0]
    assert online.write(row(online.project, SESSION, "tie", (151, 1), 151)) == [1]


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


ROWS = st.tuples(st.integers(0, 3), st.integers(0, 1))  # version
WRITES = st.lists(st.one_of(ROWS, st.tuples(st.integers(0, 3))), max_size=12)  # or a withdrawal's instant


@given(WRITES)
@given_settings(max_examples=100, deadline=None)
def test_batch_rows_follow_versions_alone(online: Online, writes: list[tuple[int, ...]]) -> None:
    """(version, whether it is a row): a row needs a greater version than a tombstone's, which keeps the greater one."""
    online.client.delete(key_of(online.project, USER, "rule"))
    held: tuple[bytes, bool] | None = None
    for write in writes:
        if len(write) == 1:
            online.write(tombstone(online.project, USER, "rule", write[0]))
            version = encode_version((write[0], LAST_OF_INSTANT))
            if held is not None and held[0] > version:
                # Of a row: of whatever job; a tombstone's stays as it is.
                version = held[0][:16] + b"\xff" * 8 if held[1] else held[0]
            held = (version, False)
        else:
            version = encode_version((write[0], write[1]))
            online.write(row(online.project, USER, "rule", (write[0], write[1])))
            if held is None or version > held[0] or (version == held[0] and held[1]):
                held = (version, True)
    stored = online.client.hget(key_of(online.project, USER, "rule"), version_field(USER.name))  # type: ignore[arg-type]
    assert stored == (None if held is None else held[0])
    assert online.read(USER, "rule").found is (held is not None and held[1])


def test_what_a_consent_row_names() -> None:
    assert keys_of("user:u:1", "v", "s") == {**SHOPPER_KEYS, "shopper_id": "user:u:1", "user_id": "u:1"}
    assert keys_of("visitor:v", None, None) == {"shopper_id": "visitor:v"}

    def views(personalization: str, keys: dict[str, str]) -> set[str]:
        return {gone.view for gone in tombstones_of("braid", state(personalization, 5), keys)}

    assert views("denied", SHOPPER_KEYS) == {"session", "shopper", "user", "user_embedding"}
    assert views("unknown", {"shopper_id": "visitor:v", "visitor_id": "v"}) == {"shopper"}
    # The device's own consent row: what guests on it left, and the session; never the user's rows.
    device = keys_of("visitor:v", "v", "s")
    assert views("denied", device) == {"session", "shopper"}
    assert {(gone.view, gone.key) for gone in tombstones_of("braid", state("denied", 5), device)} == {
        ("session", redis_key("braid", {"visitor_id": "v", "session_id": "s"})),
        ("shopper", redis_key("braid", {"shopper_id": "visitor:v"})),
    }
    assert views("granted", SHOPPER_KEYS) == set()
    assert tombstones_of("braid", "1|0", SHOPPER_KEYS) == ()
    assert tombstones_of("braid", None, SHOPPER_KEYS) == ()


def test_the_newest_withdrawal_of_a_batch_is_enough() -> None:
    def withdrawal(changed_at: int, session: str) -> tuple[Tombstone, ...]:
        return tombstones_of("braid", state("denied", changed_at), {**SHOPPER_KEYS, "session_id": session})

    left = newest_tombstones([*withdrawal(5, "s1"), *withdrawal(9, "s2"), *withdrawal(7, "s2")])
    # Two sessions, and of shopper, user and vector the newest.
    assert sorted((gone.view, gone.version[0]) for gone in left) == [
        ("session", 5),
        ("session", 9),
        ("shopper", 9),
        ("user", 9),
        ("user_embedding", 9),
    ]

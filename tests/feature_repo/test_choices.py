"""Rows that say under which choice they were made: a later choice wins, a withdrawn one brings no row back."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import permutations
from multiprocessing import get_context
from typing import Any

import pytest
from feast import FeatureStore
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from contracts.features import SESSION, SHOPPER
from contracts.online import LAST_OF_INSTANT, feature_field, timestamp_field
from contracts.settings import Settings
from feature_repo.encoded import EncodedRow, Tombstone
from tests.feature_repo.kit import Online, key_of, row, tombstone

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

KEYS = 15
ROWS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1))  # choice, version
WRITES = st.lists(st.one_of(ROWS, st.tuples(st.integers(0, 3))), max_size=12)  # or a withdrawal's instant


@pytest.fixture(scope="module")
def online(settings: Settings, feast_store: FeatureStore) -> Online:
    return Online(settings)


def stream_writes(project: str, name: str, writes: list[tuple[int, ...]]) -> list[EncodedRow | Tombstone]:
    return [
        tombstone(project, SHOPPER, name, write[0])
        if len(write) == 1
        else row(project, SHOPPER, name, (write[1], write[2]), write[0])
        for write in writes
    ]


def place(write: tuple[int, ...]) -> tuple[int, int, int]:
    """The rule of stream rows, said once more in Python: a withdrawal is what comes last of its choice."""
    return (write[0], LAST_OF_INSTANT, 0) if len(write) == 1 else (write[0], write[1], write[2])


def hash_left(online: Online, name: str, writes: list[tuple[int, ...]]) -> dict[bytes, bytes]:
    """What these writes leave, in this order, of the shopper's hash."""
    online.client.delete(key_of(online.project, SHOPPER, name))
    online.write(*stream_writes(online.project, name, writes))
    held: Any = online.client.hgetall(key_of(online.project, SHOPPER, name))
    return dict(held)


@given(writes=WRITES, data=st.data())
@given_settings(max_examples=100, deadline=None)
def test_the_greatest_choice_then_version_is_left_of_stream_rows_in_any_order(
    online: Online, writes: list[tuple[int, ...]], data: st.DataObject
) -> None:
    """Byte for byte the hash of the greatest write alone: nothing of a withdrawal is left under a new grant."""
    found = hash_left(online, "any", writes)
    if not writes:
        assert found == {}
        return
    greatest = max(writes, key=place)
    assert found == hash_left(online, "any", [greatest])
    assert (timestamp_field("shopper") in found) is (len(greatest) == 3)
    assert hash_left(online, "any", data.draw(st.permutations(writes))) == found


def test_no_late_row_of_an_old_choice_comes_back_in_any_order(online: Online) -> None:
    """Granted at 0; withdrawn on the phone at 60; the laptop's old tab goes on under the grant of 0, after 60.

    A row of that tab before the withdrawal was written (70) gives the tombstone no version to be passed by at 75. A
    grant of 80 begins again, also for what happened before it (a phone's clock: 58); the tab's rows do not follow.
    """
    old = [row(online.project, SHOPPER, "tab", version, 0) for version in ((50, 3), (70, 4), (75, 5))]
    gone = tombstone(online.project, SHOPPER, "tab", 60)
    for order in permutations([*old, gone]):
        online.client.delete(key_of(online.project, SHOPPER, "tab"))
        online.write(*order)
        assert not online.read(SHOPPER, "tab").found
        assert online.version(SHOPPER, "tab") == (60, LAST_OF_INSTANT)
    new, later = (
        row(online.project, SHOPPER, "tab", (58, 1), 80),
        row(online.project, SHOPPER, "tab", (90, 6), 0),
    )
    for order in permutations([old[1], gone, new, later]):
        online.client.delete(key_of(online.project, SHOPPER, "tab"))
        online.write(*order)
        assert (online.read(SHOPPER, "tab").version, online.version(SHOPPER, "tab")) == ((58, 1), (58, 1))


@pytest.mark.parametrize(("older", "newer"), [(127, 128), (300, 385)])
def test_two_devices_under_two_grants_leave_the_newer_choices_row(
    online: Online, older: int, newer: int
) -> None:
    """Varints, least significant group first: 7F is before 80 01, and AC 02 (300) before 81 03 (385)."""
    laptop, phone = (
        [row(online.project, SHOPPER, "two", (at, 1), choice) for at in times]
        for choice, times in ((older, (10, 90_000)), (newer, (40_000, 40_001)))
    )
    for order in permutations([*laptop, *phone]):
        online.client.delete(key_of(online.project, SHOPPER, "two"))
        online.write(*order)
        assert online.read(SHOPPER, "two").version == (40_001, 1)
    # A row that does not say under which choice it was made, by Feast's own way in, is of none.
    made = row(online.project, SHOPPER, "two", (99_000, 1), 0)
    unsaid = replace(made, fields={**made.fields, feature_field("shopper", "consent_changed_at"): b""})
    online.write(unsaid)
    assert online.read(SHOPPER, "two").version == (40_001, 1)
    online.write(tombstone(online.project, SHOPPER, "two", newer), unsaid)
    assert not online.read(SHOPPER, "two").found


def write_shuffled(settings: Settings, tag: str, seed: int) -> None:
    """One writer: rows of before and after a withdrawal of each key, and the withdrawal, in an order of its own."""
    online, chance = Online(settings), random.Random(seed)
    writes: list[EncodedRow | Tombstone] = []
    for name in (f"{tag}-{key}" for key in range(KEYS)):
        # Times of the old choice go on beyond those of the new one.
        writes += [row(online.project, SESSION, name, (at, at), 10) for at in range(20, 100, 2)]
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

"""A shopper with several devices: any interleaving of the devices' events is found, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from shop import event

from contracts.accumulators import Row
from contracts.features import SHOPPER
from spark_jobs.interleaved import is_interleaving, splits

Events = list[dict[str, Any]]
MINUTES = st.integers(0, 59)


@st.composite
def devices(draw: st.DrawFn) -> list[Events]:
    """Two or three devices with up to five purchases and mutes each, received when they happened, or later."""
    return [
        [
            event(
                f"{device}-{n}",
                f"08-01 10:{draw(MINUTES):02d}",
                draw(st.sampled_from(["purchase", "preference_set", "view_item"])),
                value_minor=draw(st.integers(0, 3)),
                preference_scope="item",
                preference_action=draw(st.sampled_from(["mute", "unmute"])),
                preference_value=draw(st.sampled_from(["i1", "i2"])),
            )
            for n in range(draw(st.integers(1, 5)))
        ]
        for device in range(draw(st.integers(2, 3)))
    ]


def row_of(events: Events) -> dict[str, Any]:
    row = Row(SHOPPER.features)
    for one in events:
        row.add(one)
    version = {"events_seen": len(events), "newest_event_time": max(one["event_time"] for one in events)}
    return dict(zip(SHOPPER.feature_names, row.values(), strict=True)) | version


def taken(of: Sequence[Events], split: Sequence[int]) -> Events:
    return [one for events, n in zip(of, split, strict=True) for one in events[:n]]


@given(devices(), st.data())
def test_the_first_events_of_each_device_make_the_row(of: list[Events], data: st.DataObject) -> None:
    split = [data.draw(st.integers(0, len(events))) for events in of]
    if any(split):
        assert is_interleaving(SHOPPER, of, row_of(taken(of, split)))


@given(devices(), st.data())
def test_a_row_that_no_split_gives_is_none(of: list[Events], data: st.DataObject) -> None:
    every = [row_of(taken(of, s)) for s in product(*(range(len(events) + 1) for events in of)) if any(s)]
    changed = data.draw(st.sampled_from(every)) | {
        data.draw(st.sampled_from(["events_seen", "newest_event_time", "shopper_last_event_at"])): 7
    }
    assert is_interleaving(SHOPPER, of, changed) is (changed in every)


@given(devices(), st.integers(0, 16))
def test_each_split_is_tried_once(of: list[Events], count: int) -> None:
    found = list(splits(of, count))
    every = [s for s in product(*(range(len(events) + 1) for events in of)) if sum(s) == count]
    assert sorted(found) == every


def test_what_was_received_first_is_tried_first() -> None:
    one = [event("a", "08-01 10:00"), event("c", "08-01 10:02")]
    other = [event("b", "08-01 10:01"), event("d", "08-01 10:03")]
    assert list(splits([one, other], 2)) == [(1, 1), (0, 2), (2, 0)]

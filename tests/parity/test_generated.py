"""Generated visits (out of order, repeated, late on both sides of each horizon, across midnight, one of 10,000 events) in
three engines: every stored value of every key.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from contracts.accumulators import Row
from contracts.catalog import read_catalog
from contracts.clock import MICROSECOND
from contracts.cuts import Cut
from contracts.events import NAMES, read_event
from contracts.features import CONSENT, ITEM, SESSION, SHOPPER, USER, Computed
from contracts.reference import admitted, stream_rows
from contracts.settings import Settings
from infra.parity.compare import Compared
from infra.parity.generated import CATEGORIES, Crowd, arrivals, catalog
from infra.stack import LocalStack
from tests.parity.cases import placed
from tests.parity.engines import Rows, by_reference, by_spark
from tests.parity.flink import by_flink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CROWD = replace(Crowd(), visitors=60, items=50)
CUT = Cut(CROWD.first_day + timedelta(days=1))
GROUPED = (CONSENT, SESSION, SHOPPER)
HOUR = 3600 * 1_000_000


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return placed(flat for record in arrivals(CROWD) if (flat := read_event(record).event) is not None)


@pytest.fixture(scope="module")
def updates() -> list[dict[str, Any]]:
    return [flat for record in catalog(CROWD) if (flat := read_catalog(record).event) is not None]


@pytest.fixture(scope="module")
def reference(
    events: list[dict[str, Any]], updates: list[dict[str, Any]], settings: Settings
) -> dict[str, Rows]:
    return by_reference(events, updates, CUT, settings)


def test_the_visits_hold_what_they_are_for(events: list[dict[str, Any]], settings: Settings) -> None:
    assert {event["event_name"] for event in events} == set(NAMES)
    late = [(event["received_time"] - event["event_time"]) // HOUR for event in events]
    # Just within and beyond 24 hours, days late, and beyond seven days.
    assert {23, 24, 72, 192} <= set(late)
    assert len(list(admitted(events, settings))) < len(events)
    assert len({event["event_id"] for event in events}) < len(events)
    assert any(a["event_time"] > b["event_time"] for a, b in pairwise(events))
    days: dict[str, set[int]] = {}
    for event in events:
        days.setdefault(event["session_id"], set()).add(event["event_time"] // (24 * HOUR))
    assert any(len(on) > 1 for on in days.values())
    rows = stream_rows(SESSION, events, settings).values()
    assert max(int(str(row["events_seen"])) for row in rows) == CROWD.bot_events


def test_spark_equals_the_reference(
    spark: SparkSession,
    events: list[dict[str, Any]],
    updates: list[dict[str, Any]],
    reference: dict[str, Rows],
    settings: Settings,
) -> None:
    found = by_spark(spark, events, updates, CUT, settings)
    for view in (*GROUPED, USER, ITEM):
        compared = Compared()
        compared.add(view, {"reference": reference[view.name], "spark": found[view.name]})
        assert (compared.differences, compared.examples) == (0, [])
        assert compared.keys == len(reference[view.name]) > 0


def test_flink_equals_the_reference(
    events: list[dict[str, Any]], reference: dict[str, Rows], settings: Settings, stack: LocalStack
) -> None:
    stack.up(["flink-taskmanager", "kafka"])
    expected = {view.name: reference[view.name] for view in GROUPED}

    def done(rows: dict[str, Rows]) -> bool:
        seen = {name: _events_seen(rows.get(name, {})) for name in expected}
        return seen == {name: _events_seen(own) for name, own in expected.items()}

    found = by_flink(settings, events, CUT, done)
    for view in GROUPED:
        compared = Compared()
        compared.add(view, {"reference": expected[view.name], "flink": found.get(view.name, {})})
        assert (compared.differences, compared.examples) == (0, [])


def _events_seen(rows: Rows) -> int:
    return sum(row["events_seen"] for row in rows.values())


ONE = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(NAMES),
        "event_time": st.integers(0, 3 * 24).map(lambda hours: hours * HOUR // 2),
        "event_id": st.sampled_from([f"e{n}" for n in range(8)]),
        "visitor_id": st.sampled_from(("v1", "v2")),
        "session_id": st.just("s"),
        **{name: st.none() | st.integers(0, 9) for name in ("price_minor", "engagement_ms", "scroll_depth")},
        **{name: st.integers(0, 9) for name in ("item_count", "pieces", "value_minor")},
        **{
            name: st.none() | st.sampled_from(CATEGORIES)
            for name in ("item_id", "category", "brand", "search_term")
        },
        "named_items": st.none() | st.sampled_from(("a", "a\nb")),
        **{name: st.none() | st.sampled_from(("a", "b")) for name in ("context_channel", "context_device")},
        "preference_action": st.sampled_from(("mute", "unmute", "less", "reset")),
        "preference_scope": st.sampled_from(("item", "category")),
        "preference_value": st.none() | st.sampled_from(CATEGORIES),
        "consent_changed_at": st.integers(0, 3),
        "consent_state": st.sampled_from(("0", "1")),
        "consent_personalization": st.sampled_from(("granted", "unknown", "denied")),
    }
)


@given(events=st.lists(ONE, max_size=40), seed=st.integers(0, 2**32))
@given_settings(deadline=None)
def test_a_feature_is_a_function_of_the_set(events: Sequence[dict[str, Any]], seed: int) -> None:
    """Whatever the order of arrival, ties in time and id among devices included; nothing gives the defaults."""
    shuffled = random.Random(seed).sample(events, len(events))
    for view in (*GROUPED, USER):
        features = [feature for feature in view.features if not isinstance(feature.aggregate, Computed)]
        one, other = Row(features, 4 * 24 * HOUR), Row(features, 4 * 24 * HOUR)
        assert one.values() == [feature.default for feature in features]
        for event, later in zip(events, shuffled, strict=True):
            one.add(event)
            other.add(later)
        assert one.values() == other.values()


def test_late_on_both_sides_of_the_horizon_is_counted_in_one_place(settings: Settings) -> None:
    """24 hours late stands in the session, a microsecond more does not; the consent view has no horizon but seven days."""
    base = read_event(arrivals(replace(CROWD, visitors=1, bot_events=0))[0]).event
    assert base is not None
    horizons = (settings.session_horizon // MICROSECOND, settings.late_horizon // MICROSECOND)
    late = [horizons[0], horizons[0] + 1, horizons[1], horizons[1] + 1]
    made = [
        {
            **base,
            "event_id": f"l{n}",
            "consent_personalization": "granted",
            "received_time": base["event_time"] + delay,
        }
        for n, delay in enumerate(late)
    ]
    seen = {
        view: [row["events_seen"] for row in stream_rows(view, made, settings).values()] for view in GROUPED
    }
    # A choice counts under its device and its user.
    assert seen == {CONSENT: [3, 3], SESSION: [1], SHOPPER: [1]}

"""The stream bench's crowd and figures, by hand; what it measures on real servers is `make bench-stream`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import msgspec

from contracts.columns import EVENT_COLUMNS
from infra.bench.stream.crowd import Crowd
from infra.bench.stream.figures import Batch, Leg, broken, shown, summed_up

START = datetime(2011, 9, 2, 8, tzinfo=UTC)


def test_a_crowd_is_what_it_says_and_sets_every_field() -> None:
    crowd = Crowd("t", sessions=50, events=300, start=START, long_events=60)
    records = list(crowd.records())
    events = [msgspec.json.decode(value) for _, value in records]
    counts = Counter((event["visitor_id"], event["session_id"]) for event in events)
    assert counts == crowd.produced()
    # Session 0 has 60 events, spread over all; the other 49 share 240: five each, but for five that have four.
    assert counts[crowd.session(0)] == 60
    assert sorted(set(counts.values())) == [4, 5, 60]
    assert crowd.order()[::5] == [0] * 60
    assert len({event["event_id"] for event in events}) == 300
    assert [event["event_time"] for event in events] == sorted(event["event_time"] for event in events)
    for event in events:
        missing = {name for name in EVENT_COLUMNS if event[name] is None} - {"user_id"}
        assert not missing, (event["event_name"], missing)
        assert all(value is not None for item in event["items"] for value in item.values())
    assert {key for key, _ in records} == {event["visitor_id"] for event in events}


def leg(**more: object) -> Leg:
    # 100 events in 2 s and 300 in 6 s: 50 a second; 0.01 + 0.03 CPU-seconds of Redis for 400 events: 100 a million.
    batches = (Batch(100, 2.0, {"redis": 0.01}), Batch(300, 6.0, {"redis": 0.03, "writer": 0.04}))
    return Leg(
        **{"sessions": 1000, "batches": batches, "state_bytes": 2**20, "memory_mib": {}, "wrong": 0} | more
    )  # type: ignore[arg-type]


def test_figures_are_those_of_all_batches() -> None:
    assert (leg().events, leg().rate) == (400, 50.0)
    assert leg().cpu_seconds_per_million == {"redis": 100.0, "writer": 100.0, "all": 200.0}
    assert shown(leg())["state_bytes_per_session"] == 1049  # 1,048,576 / 1,000


def test_what_is_not_kept_is_said() -> None:
    fresh = {"p50": 40.0, "p99": 250.0, "unseen": 0}
    report = {"peer": {"events": 10, "events_per_second": 10.0}, "freshness": fresh}
    figures = summed_up(leg(), report)
    assert figures["ratio"] == 5.0
    assert broken(figures, [leg()]) == []
    worse = summed_up(
        leg(), report | {"peer": {"events_per_second": 10.1}, "freshness": fresh | {"p99": 251, "unseen": 2}}
    )
    assert broken(worse, [leg(wrong=3)]) == [
        "1,000 sessions: 3 are wrong",
        "ratio 4.95 is below 5",
        "2 events never became readable",
        "freshness p99 251 ms is above 250 ms",
    ]

"""The demo's own arithmetic: what is lost, what is a lift, what is kept, what is promised."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.reports import provenance
from contracts.settings import Settings
from infra.demo import report
from infra.demo.counts import Losses, lost_and_duplicated
from infra.demo.plan import plan_for
from infra.demo.promises import PROMISES, broken_promises, missed_aims
from infra.demo.replay import Lift, by_session, total
from infra.demo.state import Backfill, wipe
from infra.demo.story import Story


def test_fewer_seen_is_lost_and_more_is_duplicated() -> None:
    expected = {"a/1": 20, "b/1": 20, "c/1": 20}
    seen = {"a/1": 20, "b/1": 17, "c/1": 22}
    # b lacks 3, c has 2 too many: they do not cancel out.
    assert lost_and_duplicated(expected, seen) == Losses(lost=3, duplicated=2)


def test_a_session_missing_on_either_side_counts_whole() -> None:
    assert lost_and_duplicated({"a/1": 5}, {}) == Losses(lost=5, duplicated=0)
    assert lost_and_duplicated({}, {"a/1": 5}) == Losses(lost=0, duplicated=5)


def test_lift_is_the_share_of_hits_over_all_sessions() -> None:
    lift = total([Lift(3, 2, 1), Lift(1, 1, 0)])
    assert (lift.targets, lift.hr20_updated, lift.hr20_start) == (4, 3 / 4, 1 / 4)
    assert total([]).hr20_updated == 0.0


def test_sessions_keep_their_order_and_begin_with_the_earliest() -> None:
    def event(visitor: str, session: str, at: str) -> dict[str, str]:
        return {"visitor_id": visitor, "session_id": session, "event_time": at}

    late, early, late_again = (
        event("v1", "s1", "10:00"),
        event("v2", "s1", "09:00"),
        event("v1", "s1", "10:01"),
    )
    assert by_session([late, early, late_again]) == [[early], [late, late_again]]


@pytest.fixture
def small(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var", data=tmp_path / "data")


def test_a_kept_backfill_comes_back_until_what_made_it_changes(small: Settings) -> None:
    kept = Backfill(small, plan_for(small))
    (small.lake / "silver_events").mkdir(parents=True)
    (small.lake / "silver_events" / "part").write_text("rows")
    small.days.mkdir()
    note = small.run / "backfill.json"
    note.parent.mkdir()
    note.write_text("{}")
    assert not kept.holds()
    kept.keep(note)
    wipe(small)
    assert kept.holds()
    kept.restore(note)
    assert (small.lake / "silver_events" / "part").read_text() == "rows"
    assert note.read_text() == "{}"
    other_data = replace(small, data=small.var / "elsewhere")
    assert not Backfill(other_data, plan_for(other_data)).holds()


def test_without_the_data_set_the_plan_is_the_simulator(small: Settings) -> None:
    assert (plan_for(small).source, plan_for(small).real) == ("simulator", False)
    day = small.var.parent / "data" / "online-retail" / "2010-12-01.csv.gz"
    day.parent.mkdir(parents=True)
    day.touch()
    assert (plan_for(small).source, plan_for(small).real) == ("online-retail", True)


def good_report() -> report.Report:
    """A report that keeps every promise."""
    run = {
        "cut": "2011-08-30",
        "state": "success",
        "task_seconds": {"ingest": 20.0},
        "task_states": {"ingest": "success"},
    }
    refused = {**run, "state": "failed", "task_states": {"ingest": "failed"}}
    metrics = {"recall_at_20": 0.42, "ndcg_at_20": 0.2, "coverage_at_20": 0.5}
    return {
        **provenance(),
        "seconds": 600.0,
        "data": {
            "source": "online-retail",
            "real": True,
            "notice": "",
            "events": 330_000,
            "rejected": {"price": 2},
            "made_up": ["consent"],
        },
        "batch": {
            "seconds": {"backfill": 100.0},
            "gates": {"passed": 30, "failed": 1, "planted_caught": 1},
            "dag_runs": [run, run, run, refused],
            "yesterday_stays": True,
        },
        "model": {"serves": "two_tower", "candidates": {"two_tower": metrics}, "recall_at_20": 0.42},
        "stream": {
            "events": 106_000,
            "events_per_second": 5_000.0,
            "paced_events_per_second": 599.0,
            "lost": 0,
            "duplicated": 0,
        },
        "freshness_ms": {"p50": 200.0, "p99": 700.0, "sessions": 1_200, "unseen": 0},
        "requests": {"count": 5_400, "p50_ms": 8.0, "p99_ms": 80.0, "non_2xx": 0},
        "session_lift": {"targets": 1_000, "hr20_updated": 0.37, "hr20_start": 0.12},
        "export": {"users": 3_000, "rows": 30_000, "identical_on_rerun": True},
        "parity": {
            "decisions": 6_000,
            "rows": {"session": 900, "shopper": 70, "user": 50, "derived": 6_000},
            "differences": 0,
        },
        "story": {"changed": True, "waited_ms": [200, 200]},
        "shop": {"changed": True, "waited_ms": 400},
        "memory_mib": 5_000,
        "broken": [],
        "missed": [],
    }


def test_a_report_that_keeps_its_promises_breaks_none() -> None:
    assert broken_promises(good_report()) == missed_aims(good_report()) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("batch", "yesterday_stays", False),
        ("stream", "events", 99_999),
        ("stream", "lost", 1),
        ("stream", "duplicated", 1),
        ("freshness_ms", "sessions", 999),
        ("stream", "paced_events_per_second", 499.0),
        ("freshness_ms", "unseen", 1),
        ("parity", "rows", {"session": 900, "shopper": 70, "derived": 6_000}),
        ("parity", "rows", {"session": 900, "user": 50, "derived": 6_000}),
        ("parity", "rows", {"session": 900, "shopper": 70, "user": 50, "derived": 5_999}),
        ("requests", "count", 4_999),
        ("requests", "non_2xx", 1),
        ("session_lift", "hr20_updated", 0.12),
        ("export", "identical_on_rerun", False),
        ("parity", "differences", 1),
        ("parity", "decisions", 0),
        ("story", "changed", False),
        ("shop", "changed", False),
    ],
)
def test_each_promise_can_be_broken(section: str, key: str, value: object) -> None:
    figures = copy.deepcopy(good_report())
    figures[section][key] = value
    assert len(broken_promises(figures)) == 1


def test_a_slow_machine_misses_an_aim_and_breaks_no_promise() -> None:
    figures = good_report()
    figures["freshness_ms"]["p99"] = 1_001.0
    assert (broken_promises(figures), len(missed_aims(figures))) == ([], 1)


def test_a_day_that_should_have_been_refused_breaks_a_promise() -> None:
    figures = good_report()
    figures["batch"]["dag_runs"][-1]["state"] = "success"
    assert broken_promises(figures) == [PROMISES[0][0]]


def test_the_page_shows_the_lists_and_marks_what_is_new() -> None:
    def answer(*items: str) -> dict[str, object]:
        results = [
            {"item_id": i, "title": f"<{i}>", "price": "1.00", "currency": "GBP", "reasons": ["popular"]}
            for i in items
        ]
        return {"results": results, "degraded": {"rung": "full"}, "model_version": "two_tower-1"}

    told = Story("v", "u", ("x", "y"), (answer("a", "b"), answer("c", "a"), answer("d", "c")), (210, 190))
    page = report.render(good_report(), told, "http://127.0.0.1:18706/shop")
    assert told.changed
    assert '<span class="new">&lt;c&gt;</span>' in page
    assert "<span>&lt;a&gt;</span>" in page
    assert "changed 210 ms after the event" in page

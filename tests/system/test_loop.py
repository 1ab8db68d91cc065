"""The whole loop in small: what `make demo` does, on two weeks, with its promises kept.

Every engine runs: Spark, Delta, Great Expectations, Feast, Redis, TensorFlow, MLflow, Kafka, Flink, Airflow,
the scorer. The real shop where its files are found, else the simulator, with the same assertions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pytest
from rich.console import Console

from contracts.clock import clear_replay_clock
from contracts.settings import Settings
from infra.demo.__main__ import run
from infra.demo.memory import MemoryWatch
from infra.demo.plan import LoadPlan, Plan, plan_for
from infra.demo.progress import Progress
from infra.demo.report import Report, write
from infra.demo.story import Story
from infra.stack import LocalStack

pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Loop:
    settings: Settings
    plan: Plan
    report: Report
    story: Story


def small_plan(settings: Settings) -> Plan:
    """Two weeks, one daily run, one replayed day, one refused day, a light load."""
    return replace(
        plan_for(settings),
        backfill_from=date(2011, 8, 8),
        backfill_to=date(2011, 8, 21),
        dag_days=(date(2011, 8, 22),),
        replay_on=date(2011, 8, 23),
        refused_on=date(2011, 8, 24),
        load_at=datetime(2011, 8, 25, 10, tzinfo=UTC),
        load=LoadPlan(
            events_per_second=200, seconds=12, requests_per_second=30, request_seconds=10, burst_events=3_000
        ),
    )


@pytest.fixture(scope="module")
def loop(own_settings: Settings) -> Iterator[Loop]:
    """One run of everything, in its own state and on its own ports."""
    plan, stack = small_plan(own_settings), LocalStack(own_settings)
    try:
        with MemoryWatch(own_settings) as memory:
            report, story = run(own_settings, plan, stack, Progress(Console()), memory)
        yield Loop(own_settings, plan, report, story)
    finally:
        clear_replay_clock(own_settings.clock_file)
        stack.down()


def test_one_event_changes_one_shoppers_list(loop: Loop) -> None:
    first, second, third = loop.story.answers
    assert loop.story.changed
    assert second["features"]["session"]["version"][1] == 1
    assert third["features"]["session"]["version"][1] == 2
    added = loop.story.added[0]
    assert added not in {result["item_id"] for result in second["results"]}
    assert {first["degraded"]["level"], second["degraded"]["level"]} == {0}


def test_the_daily_run_passes_and_the_planted_day_is_refused_at_ingest(loop: Loop) -> None:
    good, refused = loop.report["batch"]["dag_runs"]
    assert good["state"] == "success"
    assert set(good["task_states"].values()) == {"success"}
    assert refused["state"] == "failed"
    assert refused["task_states"]["ingest"] == "failed"
    assert "success" not in refused["task_states"].values()
    assert loop.report["batch"]["gates"]["planted_caught"] == 1
    assert loop.report["batch"]["yesterday_stays"]


def test_no_event_is_lost_or_counted_twice(loop: Loop) -> None:
    stream = loop.report["stream"]
    assert stream["events"] == stream["events_in_delta"] >= 200 * 12 + 3_000 - 60
    assert (stream["lost"], stream["duplicated"]) == (0, 0)


def test_every_request_is_answered(loop: Loop) -> None:
    assert loop.report["requests"]["count"] >= 30 * 10 - 1
    assert loop.report["requests"]["non_2xx"] == 0


def test_every_decision_equals_its_recomputation(loop: Loop) -> None:
    assert loop.report["parity"]["decisions"] >= loop.report["requests"]["count"]
    assert loop.report["parity"]["differences"] == 0


def test_the_session_helps_to_guess_the_next_item(loop: Loop) -> None:
    lift = loop.report["session_lift"]
    assert lift["targets"] > 100
    assert lift["hr20_updated"] > lift["hr20_start"]


def test_the_lists_are_the_same_bytes_when_made_again(loop: Loop) -> None:
    assert loop.report["export"]["identical_on_rerun"]
    assert loop.report["export"]["rows"] >= loop.report["export"]["users"] > 0


def test_the_best_candidate_on_validation_serves(loop: Loop) -> None:
    model = loop.report["model"]
    passing = [name for name in model["candidates"] if name not in model["refused"]]
    best = max(passing, key=lambda name: model["candidates"][name]["recall_at_20"])
    assert model["serves"] == best
    assert set(model["candidates"]) == {"two_tower", "item_knn", "popularity"}


def test_the_report_and_its_page_are_written(loop: Loop) -> None:
    page = write(loop.settings, {**loop.report, "broken": []}, loop.story)
    assert loop.story.answers[0]["results"][0]["item_id"] in page.read_text()
    assert json.loads((loop.settings.reports / "demo.json").read_text())["data"]["source"] == loop.plan.source

"""The rendered SQL and its plan, by Flink's own planner; no cluster."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.settings import ROOT, Settings
from flink_jobs.job import stream_job
from flink_jobs.plan import explain
from flink_jobs.sql import STREAM_VIEWS
from flink_jobs.submit import forget_superseded, newest_state

JOB = stream_job(Settings())


@pytest.fixture(scope="module")
def plan() -> str:
    text = explain(JOB, ROOT / "jars" / "flink")
    return text[text.index("== Optimized Physical Plan ==") :]


def test_nothing_is_retracted(plan: str) -> None:
    # Aggregates read inserts only (a retraction would need the lists to forget), and write updates without the row
    # before: Kafka would get that one as a deletion.
    aggregates = re.findall(r"GroupAggregate\(.*changelogMode=\[([A-Z,]+)\]", plan)
    below = re.findall(
        r"(?:Exchange|ProcessTableFunction|TableSourceScan)\(.*changelogMode=\[([A-Z,]+)\]", plan
    )
    assert aggregates == ["I,UA"] * 3  # session, shopper, consent
    assert set(below) == {"I"}
    # A window's row is written once, when it has passed.
    assert re.findall(r" WindowAggregate\(.*changelogMode=\[([A-Z,]+)\]", plan) == ["I"] * 2
    assert "upsertMaterialize" not in plan
    assert "ChangelogNormalize" not in plan


def test_events_are_read_and_deduplicated_once(plan: str) -> None:
    executed = plan[plan.index("== Optimized Execution Plan ==") :]
    assert executed.count("TableSourceScan(") == 1
    assert executed.count("ProcessTableFunction(") == 1
    # What was deduplicated: by the three grouped views and by the windows, of which both read the same items.
    assert executed.count("Reused(reference_id=[1])") == 4
    assert executed.count("Reused(reference_id=[2])") == 2
    assert "COUNT(DISTINCT" not in executed  # a window counts; what was seen is the dedup's to know


def test_one_visitor_is_never_spread_over_subtasks_before_it_is_grouped(plan: str) -> None:
    # hash[visitor_id] before the dedup keeps offset order; and nothing batches (a mini-batch forgets it).
    assert "Exchange(distribution=[hash[visitor_id]]" in plan
    assert "MiniBatch" not in plan


def test_state_lives_as_long_as_declared(plan: str) -> None:
    settings = Settings()
    assert re.findall(r"STATE_TTL options:\[(\d+) h\]", plan) == ["50", "9600", "9600"]
    assert timedelta(hours=50) > 2 * settings.session_horizon
    assert JOB.options["table.exec.state.ttl"] == "336 h"  # 2 × 7 days, for the event_ids


def test_every_feature_is_in_its_record(plan: str) -> None:
    specs = dict(JOB.query.views)
    for view in STREAM_VIEWS:
        if view.window_minutes:
            sink = next(text for text in JOB.query.definitions if f"TABLE {view.name}_rows" in text)
            names = ("view", *view.join_keys, *view.version, *view.feature_names)
            assert [name for name in names if not re.search(rf"\b{name} (BIGINT|STRING)", sink)] == []
            [counted] = [text for text in JOB.query.inserts if f"INTO {view.name}_rows" in text]
            assert f"SLIDE => INTERVAL '{view.slide_minutes}' MINUTE" in counted
            assert counted.endswith(f"HAVING COUNT(*) >= {view.least_events}")
        else:
            spec = json.loads(specs[view.name])
            made = {"newest_event_time", "events_seen", *spec["keys"], *(f["name"] for f in spec["features"])}
            assert made == {"view", *view.join_keys, *view.version, *view.carried, *view.feature_names}
    # The topic's key, as docs/architecture.md has it.
    assert any(
        "PRIMARY KEY (view, visitor_id, session_id, consent_changed_at)" in t for t in JOB.query.definitions
    )
    assert any("PRIMARY KEY (view, shopper_id)" in text for text in JOB.query.definitions)
    assert any("PRIMARY KEY (view, shopper_id, consent_changed_at)" in text for text in JOB.query.definitions)
    assert sum("'key.fields' = 'view;item_id'" in text for text in JOB.query.definitions) == 2


def test_a_changed_query_has_another_fingerprint_and_no_checkpoint(tmp_path: Path) -> None:
    changed = stream_job(replace(Settings(), session_horizon=timedelta(hours=12)))
    assert changed.fingerprint != JOB.fingerprint
    # Options are no part of it: more parallelism goes on from the same state.
    assert replace(JOB, options={}).fingerprint == JOB.fingerprint
    for job_id, number in ((f"{JOB.fingerprint}01", 3), (f"{JOB.fingerprint}02", 1)):
        folder = tmp_path / job_id / f"chk-{number}"
        folder.mkdir(parents=True)
        metadata = folder / "_metadata"
        metadata.touch()
        os.utime(
            metadata, (int(job_id[-2:]),) * 2
        )  # made one right after the other, they would be of one age
    (tmp_path / f"{JOB.fingerprint}02" / "chk-2").mkdir()  # not completed
    assert newest_state(tmp_path, JOB.fingerprint) == tmp_path / f"{JOB.fingerprint}02" / "chk-1"
    assert newest_state(tmp_path, changed.fingerprint) is None


def test_states_that_nobody_goes_on_from_are_removed(tmp_path: Path) -> None:
    def folder(name: str, completed: bool = True) -> Path:
        path = tmp_path / name / "chk-1"
        path.mkdir(parents=True)
        if completed:
            (path / "_metadata").touch()
        return path.parent

    query = JOB.fingerprint
    old, before, now = folder("0" * 16 + "01"), folder(f"{query}02"), folder(f"{query}03", completed=False)
    savepoints = folder(f"{query}-savepoints")
    # Another query's state goes at once; this one's older states when the job has completed a checkpoint of its own.
    forget_superseded(tmp_path, query, now.name)
    assert [path.exists() for path in (old, before, savepoints, now)] == [False, True, True, True]
    (now / "chk-1" / "_metadata").touch()
    forget_superseded(tmp_path, query, now.name)
    assert [path.exists() for path in (before, savepoints, now)] == [False, False, True]

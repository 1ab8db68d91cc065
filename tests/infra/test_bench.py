"""The batch bench: its arithmetic by hand, its meter on real processes, its copies and its sample on real Delta tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from contracts.engines import shuffle_partitions
from contracts.features import SERVICE_VIEWS, SESSION, USER, FeatureType, View
from contracts.reports import write_report
from contracts.settings import Settings
from contracts.tables import table_named
from infra.bench import figures
from infra.bench.meter import Cost
from infra.bench.million import copies_for, copy_lake, rows_in, shifted
from infra.bench.sample import newest_known, recompute
from infra.bench.shop import ONCE, shop_of
from infra.bench.steps import MEASURED, SPARK, read_cost

LABEL = datetime(2011, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ARROW = {
    FeatureType.INT64: pa.int64(),
    FeatureType.STRING: pa.string(),
    FeatureType.STRING_LIST: pa.list_(pa.string()),
    FeatureType.FLOAT_LIST: pa.list_(pa.float32()),
}


def test_a_slope_is_the_exponent_of_growth() -> None:
    # 4x the data: 4x the cost is 4^1, 8x is 4^1.5, the same cost 4^0.
    assert [figures.slope(10, cost, 4) for cost in (40, 80, 10)] == [1.0, 1.5, 0.0]


def test_work_is_what_a_process_costs_beyond_its_start_up() -> None:
    spark = [Cost(9.0, 6.0, 500, 0), Cost(8.0, 5.0, 500, 0), Cost(30.0, 7.0, 500, 0)]
    start = figures.start_up(spark, [Cost(2.0, 1.5, 200, 0)])
    # Medians of three; a command of the feature store starts Spark too.
    assert start == {
        "spark_jobs": {"seconds": 9.0, "cpu_seconds": 6.0},
        "feature_repo": {"seconds": 11.0, "cpu_seconds": 7.5},
    }
    assert figures.work_in(Cost(29.0, 46.0, 900, 0), start[SPARK]) == {"seconds": 20.0, "cpu_seconds": 40.0}
    assert figures.work_in(Cost(8.5, 5.5, 900, 0), start[SPARK]) == {"seconds": 0.1, "cpu_seconds": 0.1}


def test_slopes_are_of_the_work_between_the_two_largest_sizes() -> None:
    start = {room: {"seconds": 10.0, "cpu_seconds": 5.0} for room in ("spark_jobs", "feature_repo")}
    sizes = {1: Cost(11.0, 6.0, 700, 0), 4: Cost(20.0, 15.0, 800, 0), 16: Cost(50.0, 85.0, 1600, 0)}
    costs = {factor: {step.name: cost for step in MEASURED} for factor, cost in sizes.items()}
    found = figures.steps_figures(costs, start)
    # Seconds 10 → 40 is linear, CPU-seconds 10 → 80 is 4^1.5, memory 800 → 1600 is 4^0.5.
    assert {tuple(step["slope"].values()) for step in found.values()} == {(1.0, 1.5, 0.5)}
    examples = {"examples": 999, "sample": {"differences": 2}}
    told = figures.broken(found, examples, 1000)
    assert len(told) == len(MEASURED) + 2
    assert told[0] == "silver: slope 1.5 of its cpu_seconds, more than 1.1"
    assert told[-2:] == [
        "only 999 examples, 1,000 wanted",
        "2 examples of the sample differ from their recomputation",
    ]


def test_work_that_is_lost_in_the_start_up_gives_no_slope_of_its_own() -> None:
    """0.5 s of work beside a start-up of 10 s could be none: the whole, 10.5 → 21 s, has 4^0.5."""
    start = {room: {"seconds": 10.0, "cpu_seconds": 10.0} for room in ("spark_jobs", "feature_repo")}
    sizes = {1: Cost(9.8, 9.8, 700, 0), 4: Cost(10.5, 10.5, 700, 0), 16: Cost(21.0, 21.0, 700, 0)}
    costs = {factor: {step.name: cost for step in MEASURED} for factor, cost in sizes.items()}
    for step in figures.steps_figures(costs, start).values():
        assert step["slope_is_of"] == "whole"
        assert step["slope"]["seconds"] == step["slope"]["cpu_seconds"] == 0.5


def test_keys_grow_with_the_shop() -> None:
    larger = shop_of(16)
    assert larger.shoppers == 16 * ONCE.shoppers
    assert larger.items == 16 * ONCE.items
    assert larger.sessions_per_day == 16 * ONCE.sessions_per_day
    assert replace(larger, shoppers=0, items=0, sessions_per_day=0) == replace(
        ONCE, shoppers=0, items=0, sessions_per_day=0
    )


def test_the_meter_counts_orphans_and_hands_the_code_on(tmp_path: Path) -> None:
    """A child burns 0.2 CPU-seconds, its orphan, which outlives it, 0.3 with 64 MiB; the command ends with 3."""
    burn = "import sys, time\nheld = bytearray(1) * int(sys.argv[2])\nwhile time.process_time() < float(sys.argv[1]): pass"
    orphan = f"{burn}\ntime.sleep(2.5)"
    script = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {orphan!r}, '0.3', str(64 * 2**20)], start_new_session=True)\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}, '0.2', '1'])\n"
        "sys.exit(3)"
    )
    # In a process of its own, as the bench runs it: it takes in the orphans of all that it started.
    report = tmp_path / "cost.json"
    done = subprocess.run(
        [sys.executable, "-m", "infra.bench.meter", str(report), sys.executable, "-c", script], check=False
    )
    cost = read_cost(report)
    assert done.returncode == cost.code == 3
    assert cost.cpu_seconds >= 0.5
    assert cost.peak_mib >= 64


def test_copies_have_keys_of_their_own() -> None:
    rows = pa.table({"event_id": ["a"], "user_id": pa.array([None], pa.string()), "label_item_id": ["i"]})
    assert shifted(rows, 2).to_pylist() == [{"event_id": "a~2", "user_id": None, "label_item_id": "i"}]
    assert [copies_for(labels, 10) for labels in (10, 4, 3)] == [1, 3, 4]


def test_the_newest_row_is_known_fresh_and_of_the_most_events() -> None:
    def row(minutes: int, seen: int, known: int | None = None) -> dict[str, Any]:
        at = LABEL - minutes * MINUTE
        created = at if known is None else LABEL - known * MINUTE
        return {"event_timestamp": at, "created_timestamp": created, "events_seen": seen}

    example = {"event_timestamp": LABEL}
    rows = [row(90, 1), row(30, 2), row(20, 3), row(20, 4), row(10, 5, known=-1), row(-1, 6)]
    # Of 20 minutes ago the one of more events; the one of 10 minutes ago arrived after the label, the last is later.
    assert newest_known(SESSION, example, rows) == row(20, 4)
    # A session row is fresh for an hour.
    assert newest_known(SESSION, example, rows[:1]) is None


def _columns(view: View, **values: Any) -> dict[str, pa.Array]:
    """One row of the view, its features null but for `values`."""
    stored = {name: ARROW[dtype] for name, dtype in view.stored_columns} | dict.fromkeys(
        view.join_keys, pa.string()
    )
    return {name: pa.array([values.get(name)], kind) for name, kind in stored.items()}


def _save(settings: Settings, table: str, columns: dict[str, pa.Array]) -> None:
    declared = table_named(table)
    partition = [] if declared.partition is None else [declared.partition]
    write_deltalake(str(declared.path(settings)), pa.table(columns), mode="append", partition_by=partition)


@pytest.fixture
def small(settings: Settings, tmp_path: Path) -> Settings:
    """A lake of one label, with a row of each view that it joins."""
    own = replace(settings, var=tmp_path / "small")
    keys = {
        "visitor_id": "v",
        "session_id": "s",
        "shopper_id": "user:u",
        "user_id": "u",
        "consent_changed_at": 1,
    }
    stamp = pa.timestamp("us", "UTC")
    day = {"event_on": pa.array([date(2011, 1, 5)]), "cut_on": pa.array([date(2011, 1, 5)])}
    for view in SERVICE_VIEWS:
        seen = {
            "event_timestamp": pa.array([LABEL - MINUTE], stamp),
            "created_timestamp": pa.array([LABEL], stamp),
        }
        _save(
            own,
            view.table,
            _columns(view, **keys, events_seen=1, session_carts=2, user_carts_90d=7) | seen | day,
        )
    label = {name: pa.array([value]) for name, value in keys.items()}
    label |= {
        "withdrawn_at": pa.array([None], pa.int64()),
        "event_id": pa.array(["e"]),
        "event_timestamp": pa.array([LABEL], stamp),
        **day,
    }
    _save(own, "gold_label_rows", label)
    state = {"shopper_id": pa.array(["user:u"]), "consent_state": pa.array(["x"]), "cut_on": day["cut_on"]}
    _save(own, "gold_consent", state)
    return own


def test_a_copied_lake_and_its_sample(small: Settings, tmp_path: Path) -> None:
    """Three copies give three examples; one that was joined wrongly is found."""
    target = replace(small, var=tmp_path / "large")
    assert set(copy_lake(small, target, 3).values()) == {3}
    for copy in range(3):
        wrong = copy == 2
        columns: dict[str, pa.Array] = {}
        for view in SERVICE_VIEWS:
            columns |= _columns(view, session_carts=2 + wrong, user_carts_90d=7)
        columns |= {
            "event_id": pa.array([f"e~{copy}"]),
            "visitor_id": pa.array([f"v~{copy}"]),
            "session_id": pa.array([f"s~{copy}"]),
            "shopper_id": pa.array([f"user:u~{copy}"]),
            "user_id": pa.array([f"u~{copy}"]),
            "withdrawn_at": pa.array([None], pa.int64()),
            "event_timestamp": pa.array([LABEL], pa.timestamp("us", "UTC")),
        }
        _save(target, "gold_training_examples", columns)
    found = recompute(target, 10)
    assert (found.examples, found.joined, found.differences) == (3, 9, 1)
    assert rows_in(target, USER.table) == 3


def test_shuffles_grow_with_the_largest_table(tmp_path: Path) -> None:
    """A partition takes 4 MiB: 9 MiB in two days' files are 3 partitions; an empty one stays at two."""
    for name, sizes in {"large": (5, 4), "small": (0,)}.items():
        for day, mebibytes in enumerate(sizes):
            file = tmp_path / name / f"event_on={day}" / "part.parquet"
            file.parent.mkdir(parents=True)
            file.write_bytes(b"")
            os.truncate(file, mebibytes * 2**20)
    assert shuffle_partitions(tmp_path / "small", tmp_path / "large") == "3"
    assert shuffle_partitions(tmp_path / "small") == "2"


def test_a_report_is_written_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "bench-batch.json"
    write_report(path, {"broken": [], "from": date(2011, 1, 3)})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(path, {"broken": [float("nan")]})
    assert json.loads(path.read_text()) == {"broken": [], "from": "2011-01-03"}
    assert [file.name for file in path.parent.iterdir()] == ["bench-batch.json"]

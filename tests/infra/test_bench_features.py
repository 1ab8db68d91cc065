"""The features bench: its arithmetic by hand, its data, and a small run on real Redis, Spark and `feast serve`."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from contracts.features import CONSENT, FeatureType
from contracts.online import StoredRow
from contracts.settings import Settings
from infra.bench.__main__ import _parser
from infra.bench.features import bench, command, contended, figures, materialize, reads, wide
from infra.bench.features.figures import Round
from infra.bench.features.plan import Plan
from infra.bench.features.shoppers import request_of
from infra.demo.progress import Progress
from infra.stack import LocalStack
from scorer.shopper import keys_of

SMALL = Plan(entities=300, rounds=1, keys=60, versions=20, shoppers=50, warm_up=3)


def test_ratios_are_of_medians() -> None:
    # Medians 2 and 12 s are 6 times; of CPU-seconds 4 and 6, 1.5 times.
    ours = [Round(1.0, 4.0), Round(2.0, 4.0), Round(30.0, 4.0)]
    found = figures.materialized(ours, [Round(12.0, 6.0)] * 3)
    assert (found["ratio"], found["ratio_cpu"]) == (6.0, 1.5)
    # 0.2 ms; the SDK takes 1 ms, `feast serve` 5 ms.
    read = figures.read([0.0002] * 100, [0.001] * 100, [0.005] * 100)
    assert [read[name] for name in ("p50_ms", "p99_ms", "ratio_sdk", "ratio_serve")] == [0.2, 0.2, 5.0, 25.0]


def test_what_a_race_left() -> None:
    late, newer = [(10, 1), (10, 2)], [(10, 1), (11, 2)]
    versions = {"a": late, "b": late, "c": newer, "d": newer}
    # b kept the row before its correction, d an older one; stock lost a too, and has no row of c.
    ours = {"a": (10, 2), "b": (10, 1), "c": (11, 2), "d": (10, 1)}
    stock = {"a": (10, 1), "b": (10, 1), "c": None, "d": (11, 2)}
    assert figures.contended(versions, ours, stock) == {
        "older_wins": 2,
        "stock_older_wins": 3,
        "late_corrections": 2,
        "late_corrections_lost": 1,
        "stock_late_corrections_lost": 2,
    }


def test_two_writers_have_each_row_once_in_orders_of_their_own() -> None:
    plan = replace(SMALL, keys=30, versions=10)
    first, second = (contended.writes_of(writer, plan) for writer in range(contended.WRITERS))
    whole = [
        (key, version) for key in contended.keys_of(plan) for version in contended.versions_of(key, plan)
    ]
    assert sorted(first + second) == sorted(whole)
    assert len(set(whole)) == 300
    assert first != sorted(first)
    versions = {key: contended.versions_of(key, plan) for key in contended.keys_of(plan)}
    assert all(of == sorted(of) for of in versions.values())
    # About half end in a late correction.
    assert 5 < sum(map(figures.is_late_correction, versions.values())) < 25


def test_the_wide_table_has_forty_features_of_every_type() -> None:
    rows = wide.rows_of(500, 1)
    assert len(wide.COLUMNS) == 40
    assert set(wide.COLUMNS.values()) == set(FeatureType) - {FeatureType.FLOAT64}
    assert rows.equals(wide.rows_of(500, 1))
    assert not rows.equals(wide.rows_of(500, 2))
    assert rows["text_0"].null_count > 0
    assert rows["list_0"].null_count > 0
    lengths = pc.list_value_length(rows["list_0"])
    assert (pc.min(lengths).as_py(), pc.max(lengths).as_py()) == (0, wide.MOST_IN_LIST)
    assert np.unique(pc.list_value_length(rows["vector_0"])).tolist() == [wide.DIMENSIONS]


def test_a_row_that_is_not_there_reads_as_its_defaults() -> None:
    names = [name for name, _ in CONSENT.stored_columns]
    nothing = dict.fromkeys(names)
    missing = StoredRow(False, None, None, dict(nothing))
    assert reads.differing(CONSENT, missing, nothing) == 0
    # The SDK has one, ours another that is no default: two values.
    assert reads.differing(CONSENT, missing, nothing | {"consent_state": "x"}) == 1
    odd = missing._replace(features=nothing | {"events_seen": 1})
    assert reads.differing(CONSENT, odd, nothing | {"consent_state": "x"}) == 2
    assert reads.differing(CONSENT, None, nothing) == len(names)


def test_one_call_of_the_sdk_asks_for_what_a_request_reads() -> None:
    entities, keys = reads.entities_of(7), keys_of(request_of(7))
    for key, place in zip(keys, reads.places_of(keys), strict=True):
        assert {name: entities[name][place] for name in key.view.join_keys} == key.key


def test_what_is_not_kept_is_told() -> None:
    kept = {
        "materialize": {"ratio": 5, "stock_rows": 2, "entities": 2, "differences": 0},
        "contended": {"writes": 100_000, "older_wins": 0, "late_corrections_lost": 0},
        "read": {"p99_ms": 1, "ratio_sdk": 5, "ratio_serve": 20, "values": 100_000, "differences": 0},
    }
    assert figures.broken(kept) == []
    read = {"p99_ms": 1.5, "ratio_sdk": 4.99, "ratio_serve": 19, "values": 9, "differences": 1}
    written = {"ratio": 4, "stock_rows": 1, "entities": 2, "differences": 3}
    raced = {"writes": 10, "older_wins": 1, "late_corrections_lost": 1}
    told = figures.broken({"materialize": written, "contended": raced, "read": read})
    assert len(told) == 11
    assert told[0] == "materialize: 4 times stock Feast's speed, less than 5"


@pytest.mark.usefixtures("spark")
def test_a_small_run(settings: Settings, stack: LocalStack, spark: SparkSession, tmp_path: Path) -> None:
    """Every part on the session's own servers; sizes are too small for its speeds to mean anything."""
    stack.up(["redis"])
    own, out = replace(settings, var=tmp_path), StringIO()
    console = Console(file=out, width=160)
    progress = Progress(console)
    with bench.quiet(own, progress):
        parts = {
            "read": reads.measure(own, SMALL, progress),
            "contended": contended.measure(own, SMALL, progress),
            "materialize": materialize.measure(own, SMALL, progress),
        }
    report = bench.report_of(SMALL, parts, progress.elapsed)
    written, raced, read = report["materialize"], report["contended"], report["read"]
    assert (written["differences"], written["stock_rows"], written["features"]) == (0, 300, 40)
    assert (raced["writes"], raced["older_wins"], raced["late_corrections_lost"]) == (1_200, 0, 0)
    # 50 requests read both consents, all other views once: 2 * 5 + 42 + 15 + 31 + 2 values.
    assert (read["requests"], read["values"], read["differences"]) == (50, 50 * 100, 0)
    assert 0 < read["missing_rows"] < 50 * 6
    assert read["rows"]["tombstones"] > 0
    command.show(console, report)
    assert "of 5,000 values differ" in out.getvalue()
    assert any(told.startswith("contended: only 1,200 writes") for told in report["broken"])


def test_the_options_are_the_plan() -> None:
    options = _parser().parse_args(["features", "--shoppers", "5"])
    assert (options.report, options.shoppers, options.entities) == ("bench-features.json", 5, Plan().entities)

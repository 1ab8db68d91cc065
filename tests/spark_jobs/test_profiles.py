"""Profiles through Delta: once a key, the last to arrive, in whatever order days are run."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contracts.adapters.sources import open_source
from contracts.cuts import days_between
from contracts.errors import SourceError
from contracts.profiles import attributes_of
from contracts.settings import Settings
from infra.adapt import adapt_range
from spark_jobs.profiles import run_profiles
from spark_jobs.run import Run

FIRST, LAST = date(2024, 5, 1), date(2024, 5, 3)
HEADER = "user_id,updated_at,loyalty_tier,email_frequency\n"
DAYS = {
    FIRST: "u1,2024-05-01T08:00:00Z,silver,weekly\nu2,2024-05-01T08:00:00Z,gold,\n",
    # The second is closed. The third corrects what the first said of the same moment, and brings a change.
    LAST: "u1,2024-05-01T08:00:00Z,bronze,\nu1,2024-05-03T08:00:00Z,gold,hourly\n",
}
EXPECTED = [
    ("u1", "email_frequency", "weekly", "email", 1, 20240501),
    ("u1", "loyalty_tier", "bronze", "personalization", 1, 20240503),
    ("u1", "loyalty_tier", "gold", "personalization", 3, 20240503),
    ("u2", "loyalty_tier", "gold", "personalization", 1, 20240501),
]
GRANTED = "00000000000000000|00000"
NO_EMAIL = f"{1_714_500_000_000_000:017d}|02000"  # 2024-04-30


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with the three days adapted, as the command does it."""
    mine = replace(settings, var=tmp_path, data=tmp_path / "data")
    (tmp_path / "data" / "crm").mkdir(parents=True)
    for on, rows in DAYS.items():
        path = tmp_path / "data" / "crm" / f"{on}.csv.gz"
        path.write_bytes(gzip.compress(f"{HEADER}{rows}".encode()))
    counts = adapt_range(mine.days, open_source("crm", mine.data), days_between(FIRST, LAST), workers=1)
    assert [day.profiles for day in counts.values()] == [3, 0, 2]
    assert counts[LAST].rejected == {"value: one of daily, weekly, monthly, never": 1}
    return mine


def rows(run: Run) -> list[tuple[object, ...]]:
    table = run.read("silver_profiles")
    assert table is not None
    return sorted(
        (r["user_id"], r["attribute"], r["value"], r["purpose"], r["effective_on"].day, r["source_partition"])
        for r in table.collect()
    )


@pytest.mark.parametrize("order", [[FIRST, LAST], [LAST, FIRST], [FIRST, LAST, FIRST, LAST]])
def test_a_key_stands_once_in_any_order_of_runs(
    spark: SparkSession, own: Settings, order: list[date]
) -> None:
    for on in order:
        run = Run(spark, own, on, on, None, "days:crm")
        run_profiles(run)
    assert rows(run) == EXPECTED


def test_a_range_is_its_days_and_is_read_by_purpose(spark: SparkSession, own: Settings) -> None:
    run = Run(spark, own, FIRST, LAST, None, "days:crm")
    run_profiles(run)
    run_profiles(run)
    assert rows(run) == EXPECTED
    held = [row.asDict() for row in run.read("silver_profiles").where("user_id = 'u1'").collect()]  # type: ignore[union-attr]
    may_2 = datetime(2024, 5, 2, tzinfo=UTC)
    assert attributes_of(held, [GRANTED], may_2) == {"email_frequency": "weekly", "loyalty_tier": "bronze"}
    assert attributes_of(held, [GRANTED, NO_EMAIL], may_2) == {"loyalty_tier": "bronze"}


def test_what_cannot_be_read_is_named(spark: SparkSession, own: Settings) -> None:
    for source, message in (("kafka", "days:<name>"), ("days:loyalty", "infra.adapt loyalty")):
        with pytest.raises(SourceError, match=message):
            run_profiles(Run(spark, own, FIRST, FIRST, None, source))
    (own.days / "crm" / "profiles" / f"{FIRST}.jsonl.gz").write_bytes(gzip.compress(b'{"user_id": 1}\nodd\n'))
    with pytest.raises(SourceError, match="2 lines of days:crm are no checked profiles"):
        run_profiles(Run(spark, own, FIRST, FIRST, None, "days:crm"))

"""Days through bronze, silver and gold: a rerun, a range against its single days, a refused day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from shop import DENIED, SOURCE, at, event, update, write_days

from contracts.errors import GateError
from contracts.settings import Settings
from contracts.tables import table_named
from spark_jobs import delta
from spark_jobs.bronze import run_bronze
from spark_jobs.gates import volumes
from spark_jobs.gold import run_gold
from spark_jobs.run import Run
from spark_jobs.silver import run_silver

FIRST, LAST = date(2011, 8, 1), date(2011, 8, 3)
TABLES = (
    "bronze_events", "silver_events", "silver_catalog", "gold_consent", "gold_user_features", "gold_item_features",
    "gold_session_features", "gold_shopper_features", "gold_label_rows",
)  # fmt: skip
NewRun = Callable[[date, date], Run]


def two_days_and_a_closed_one() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """08-02 is closed; 08-03 brings a duplicate, a late event and a withdrawal."""
    withdrawn = DENIED | {"consent_changed_at": at("08-03 09:00")}
    events = [
        event("a", "08-01 10:00", user_id="u1", item_id="i1"),
        event("b", "08-01 10:01", "add_to_cart", user_id="u1", item_id="i1", value_minor=300),
        event("c", "08-01 11:00", visitor_id="v2", user_id="u2", session_id="s2", item_id="i2"),
        event("a", "08-01 10:00", received_time=at("08-03 08:00"), user_id="u1", item_id="i1"),
        event("late", "08-01 10:02", received_time=at("08-03 08:01"), user_id="u1", item_id="i2"),
        event("d", "08-03 10:00", visitor_id="v2", user_id="u2", session_id="s3", item_id="i2", **withdrawn),
        event("e", "08-03 10:00", "purchase", user_id="u1", session_id="s4", item_id="i1", value_minor=300),
    ]
    catalog = [
        update("i1", "08-01 08:00", 300),
        update("i2", "08-01 08:00", 500),
        update("i1", "08-03 08:00", 310),
    ]
    return events, catalog


@pytest.fixture
def shop(spark: SparkSession, settings: Settings, tmp_path: Path) -> Callable[[str], NewRun]:
    """A lake of its own by name, over day files that the shops of one test share."""

    def lake(name: str) -> NewRun:
        own = replace(settings, var=tmp_path / name)
        own.lake.mkdir(parents=True)
        own.days.symlink_to(tmp_path / "days")
        return lambda first, cut: Run(spark, own, first, cut, None, f"days:{SOURCE}")

    return lake


def content(run: Run, table: str) -> list[str]:
    """The rows as sorted text."""
    frame = run.read(table)
    assert frame is not None, table
    return sorted(str(row) for row in frame.select(*sorted(frame.columns)).collect())


def through(run: Run) -> Run:
    for job in (run_bronze, run_silver, run_gold):
        job(run)
    return run


@pytest.mark.long
def test_a_range_equals_its_single_days_and_a_rerun_changes_nothing(
    shop: Callable[[str], NewRun], tmp_path: Path
) -> None:
    write_days(tmp_path / "days", FIRST, LAST, *two_days_and_a_closed_one())
    single, at_once = shop("single"), shop("range")
    for day in (1, 2, 3):
        run = through(single(date(2011, 8, day), date(2011, 8, day)))
    whole = through(at_once(FIRST, LAST))
    expected = {table: content(run, table) for table in TABLES}
    assert {table: content(whole, table) for table in TABLES} == expected
    again = through(single(LAST, LAST))
    assert {table: content(again, table) for table in TABLES} == expected
    events = whole.read("silver_events").select("event_id", "event_on", "cut_on").collect()  # type: ignore[union-attr]
    assert sorted((r[0], r[1].day, r[2].day) for r in events) == [
        ("a", 1, 1), ("b", 1, 1), ("c", 1, 1), ("d", 3, 3), ("e", 3, 3), ("late", 1, 3),
    ]  # fmt: skip
    users = whole.read("gold_user_features").collect()  # type: ignore[union-attr]
    carts = {(r["user_id"], r["cut_on"].day): (r["user_carts_90d"], r["user_last_items"]) for r in users}
    assert carts == {  # u2 withdrew on the 3rd: no row at that cut; the late event is known from the 3rd
        ("u1", 1): (1, ["i1", "i1"]), ("u1", 2): (1, ["i1", "i1"]), ("u1", 3): (1, ["i2", "i1", "i1"]),
        ("u2", 1): (0, ["i2"]), ("u2", 2): (0, ["i2"]),
    }  # fmt: skip
    items = whole.read("gold_item_features").where("cut_on = DATE'2011-08-03'").collect()  # type: ignore[union-attr]
    assert {r["item_id"]: (r["price_minor"], r["item_views_30d"], r["item_purchases_30d"]) for r in items} == {
        "i1": (310, 1, 1), "i2": (500, 3, 0),
    }  # fmt: skip
    assert {r["item_id"]: r["offered_at"] for r in items} == {
        "i1": at("08-03 08:00"),
        "i2": at("08-01 08:00"),
    }


def test_a_refused_day_never_reaches_silver_and_does_not_hold_up_the_next(
    shop: Callable[[str], NewRun], tmp_path: Path
) -> None:
    events = [event(f"e{day}", f"08-0{day} 10:00", item_id="i1") for day in (1, 2, 3)]
    prices = {1: 300, 2: 30_000, 3: 310}  # the second day's prices × 100
    catalog = [update("i1", f"08-0{day} 08:00", price) for day, price in prices.items()]
    write_days(tmp_path / "days", FIRST, LAST, events, catalog)
    runs = shop("refused")
    through(runs(FIRST, FIRST))
    bad = runs(date(2011, 8, 2), date(2011, 8, 2))
    run_bronze(bad)
    before = {
        path.name: delta.written(table_named(path.name).path(bad.settings))
        for path in bad.settings.lake.glob("silver_*")
    }
    kept = {table: content(bad, table) for table in TABLES if table != "bronze_events"}
    with pytest.raises(
        GateError,
        match=r"2011-08-02: bronze_catalog, rule price_jump_share .amount.: observed 1.0, allowed at most 0.2",
    ):
        run_silver(bad)
    with pytest.raises(GateError, match="2011-08-02 was refused at ingest"):
        run_gold(bad)
    assert {table: content(bad, table) for table in kept} == kept
    assert before and volumes(bad.settings) == {FIRST: 1}
    after = through(runs(LAST, LAST))
    assert [r["price_minor"] for r in after.read("silver_catalog").orderBy("effective_time").collect()] == [
        300,
        310,
    ]  # type: ignore[union-attr]
    assert {r["event_id"] for r in after.read("silver_events").collect()} == {"e1", "e3"}  # type: ignore[union-attr]
    states = after.read("gold_item_features").select("cut_on", "price_minor", "offered_at").collect()  # type: ignore[union-attr]
    assert sorted((r[0].day, *r[1:]) for r in states) == [
        (1, 300, at("08-01 08:00")),
        (3, 310, at("08-03 08:00")),
    ]
    assert (bad.settings.var / "gx/uncommitted/data_docs/local_site/index.html").is_file()
    write_days(
        tmp_path / "days", FIRST, LAST, events, [update("i1", f"08-0{day} 08:00", 300) for day in (1, 2, 3)]
    )
    mended = through(bad)
    assert {r["event_id"] for r in mended.read("silver_events").collect()} == {"e1", "e2", "e3"}  # type: ignore[union-attr]

"""The gates: what one aggregation finds in rows, how many jobs it takes, what a refused day leaves."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from shop import SOURCE, at, bronze, event, update, write_days

from contracts.alarms import alarms_file
from contracts.columns import spark_catalog_ddl
from contracts.errors import GateError
from contracts.expectations import FEATURES, INGEST, ONLINE, RULES, rules_of
from contracts.features import USER, FeatureType
from contracts.settings import Settings
from spark_jobs import gate_rows, gold_gate, silver_rows
from spark_jobs.bronze import run_bronze
from spark_jobs.expectations import judge
from spark_jobs.gates import Counted, measure, pass_gate
from spark_jobs.run import Run
from spark_jobs.silver import run_silver

DAY = date(2011, 8, 1)
DELAY = timedelta(hours=2)
LATE = timedelta(days=7)
LIMIT = 3
ITEM = dict.fromkeys(
    ("item_id", "price_minor", "currency", "quantity", "index", "item_list_id", "category", "brand")
)


def item(**fields: Any) -> dict[str, Any]:
    return ITEM | {"item_id": "i1", "price_minor": 300, "currency": "GBP", "quantity": 1} | fields


def counted(spark: SparkSession, events: list[dict[str, Any]]) -> Counted:
    """Events as the job silver hands them to the gate, beside a catalog that knows i1 at 300 GBP."""
    catalog = spark.createDataFrame([tuple(update("i1", "08-01 00:00", 300).values())], spark_catalog_ddl())
    dated = catalog.withColumn("effective_on", F.lit(DAY))
    own = silver_rows.once_each(silver_rows.with_cut(bronze(spark, events), DELAY), None, LATE)
    rows = silver_rows.with_identity(own, None, *gate_rows.COPIES)
    known = gate_rows.known_items(dated, None)
    return Counted("bronze_events", gate_rows.with_checks(rows, known, LIMIT), "cut_on")


def found(spark: SparkSession, settings: Settings, events: list[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of the day, shares of a handful of rows too."""
    rules = [replace(rule, least=1) for rule in rules_of(INGEST, settings) if rule.table == "bronze_events"]
    return measure(counted(spark, events), rules)[DAY]


def test_rule_names_are_unique_and_every_rule_says_what_it_is_about() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))
    assert all(rule.doc and rule.cause and rule.table for rule in RULES)


def test_a_sound_day_breaks_no_rule_of_rows(spark: SparkSession, settings: Settings) -> None:
    events = [event("a", "08-01 10:00", item_id="i1", items=[item()]), event("b", "08-01 11:00")]
    numbers = found(spark, settings, events)
    rules = [
        rule for rule in rules_of(INGEST, settings) if rule.table == "bronze_events" and rule.number is None
    ]
    assert {rule.name: numbers[rule.name] for rule in rules if numbers[rule.name]} == {}
    assert numbers["bronze_events.rows"] == 2
    assert int(numbers["bronze_events.hours"]) == 2**10 + 2**11
    assert numbers["bronze_events.name.view_item"] == 2
    assert numbers["bronze_events.share.user_id"] == 0


def test_each_broken_row_is_counted_by_the_rule_of_its_field(spark: SparkSession, settings: Settings) -> None:
    when = "08-01 10:00"
    broken = {
        "event_event_name": event("1", when, "bought"),
        "event_platform": event("2", when, platform="x" * 33),
        "event_consent_ads": event("3", when, consent_ads="yes"),
        "event_visitor_id": event("4", when, visitor_id=""),
        "event_scroll_depth": event("5", when, scroll_depth=101),
        "item_price_minor": event("6", when, items=[item(), item(price_minor=-1)]),
        "item_item_id": event("7", when, items=[item(item_id=None)]),
        "event_after_received": event("8", when, event_time=at(when) + 301_000_000),
        "consent_after_received": event("9", when, consent_changed_at=at(when) + 301_000_000),
        "currency_mixed": event("10", when, items=[item(), item(currency="USD"), item(currency=None)]),
    }
    numbers = found(spark, settings, [one | {"session_id": f"s{n}"} for n, one in enumerate(broken.values())])
    rules = [
        r
        for r in rules_of(INGEST, settings)
        if r.table == "bronze_events" and r.number is None and not r.share
    ]
    assert {rule.name: numbers[rule.name] for rule in rules if numbers[rule.name]} == dict.fromkeys(broken, 1)


def test_copies_twins_and_bots_are_told_apart(spark: SparkSession, settings: Settings) -> None:
    again = {"received_time": at("08-01 10:01")}
    events = [
        event("same", "08-01 10:00", item_id="i1"),
        event("same", "08-01 10:00", item_id="i1", **again),  # sent again: counted once, no fault
        event("reused", "08-01 10:00", visitor_id="v2", item_id="i1"),
        event("reused", "08-01 10:00", visitor_id="v2", item_id="i2", **again),  # another event under its id
        event("one", "08-01 12:00", visitor_id="v3", item_id="i1"),
        event("two", "08-01 12:00", visitor_id="v3", item_id="i1"),  # the same event under another id
        *(event(f"bot{n}", f"08-01 13:0{n}", visitor_id="bot") for n in range(LIMIT + 1)),
    ]
    numbers = found(spark, settings, events)
    assert numbers["bronze_events.rows"] == 8
    assert numbers["bronze_events.reused"] == 2 / 10
    assert numbers["twin_share"] == 1 / 8
    assert numbers["bot_share"] == 4 / 8
    assert numbers["bronze_events.copies"] == 10 / 8


def test_items_and_prices_are_held_against_the_catalog_known_by_then(
    spark: SparkSession, settings: Settings
) -> None:
    events = [
        event("1", "08-01 10:00", item_id="i1", price_minor=300, items=[item()]),
        event("2", "08-01 10:01", item_id="i1", price_minor=30_000, items=[item(currency="USD")]),
        event("3", "08-01 10:02", item_id="new", price_minor=5, items=[item(item_id="new")]),
        event("4", "08-01 10:03"),
    ]
    numbers = found(spark, settings, events)
    assert numbers["bronze_events.unknown_items"] == 1 / 3
    assert numbers["bronze_events.price_off"] == 1 / 2
    assert numbers["bronze_events.foreign_currency"] == 1 / 2


def test_a_table_takes_at_most_two_spark_jobs(
    spark: SparkSession, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(spark, replace(settings, var=tmp_path), DAY, DAY)
    run.settings.lake.mkdir(parents=True)
    table = counted(spark, [event("a", "08-01 10:00", item_id="i1", items=[item()])])
    table.frame.persist().count()
    rejected = spark.createDataFrame([], "reason STRING, received_on DATE")
    pass_gate(run, INGEST, (table, Counted("bronze_rejected", rejected, "received_on")))
    jobs = gates_jobs(capsys)
    assert jobs.keys() == {"bronze_events", "bronze_rejected"}
    assert 1 <= jobs["bronze_events"] <= 2
    assert jobs["bronze_rejected"] <= 2


def test_a_day_of_refused_records_stops_and_alarms(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    """12 of 30 records were refused at the door: more than the setting's 0.3, less than 0.5."""
    write_days(tmp_path / "days", DAY, DAY, [event(f"e{n}", "08-01 10:00") for n in range(18)], [])
    rejected = tmp_path / "days" / SOURCE / "rejected" / f"{DAY}.jsonl.gz"
    line = json.dumps(
        {"reason": "items.price: at least 0", "original": "e30=", "rejected_at": "2011-08-02T02:00:00Z"}
    )
    rejected.write_bytes(gzip.compress(f"{line}\n".encode() * 12))
    run = Run(spark, replace(settings, var=tmp_path), DAY, DAY, None, f"days:{SOURCE}")
    run.settings.lake.mkdir(parents=True)
    run_bronze(run)
    said = "2011-08-01: bronze_rejected, rule reject_share .rejects.: observed 0.4, allowed at most 0.3"
    with pytest.raises(GateError, match=said):
        run_silver(run)
    alarms = [json.loads(one) for one in alarms_file(run.settings).read_text().splitlines()]
    assert [(one["source"], one["cut"]) for one in alarms] == [("gate", "2011-08-01")]
    assert "reject_share" in alarms[0]["error"]
    assert run.read("silver_events") is None
    run_silver(replace(run, settings=replace(run.settings, reject_share=0.5)))
    rows = run.read("silver_events").collect()  # type: ignore[union-attr]
    assert len(rows) == 18
    run_silver(replace(run, gated=False))  # what the gates' cost is measured against writes the same
    assert sorted(run.read("silver_events").collect()) == sorted(rows)  # type: ignore[union-attr]


def users(spark: SparkSession, **features: Any) -> DataFrame:
    """One row of the user view at DAY's cut, without any event but for these features."""
    types = {
        FeatureType.INT64: "BIGINT",
        FeatureType.STRING: "STRING",
        FeatureType.STRING_LIST: "ARRAY<STRING>",
    }
    columns = ", ".join(f"{one.name} {types[one.dtype]}" for one in USER.features)
    row = {one.name: one.default for one in USER.features} | features
    end = datetime(2011, 8, 2, tzinfo=UTC)
    ddl = f"user_id STRING, cut_on DATE, event_timestamp TIMESTAMP, {columns}"
    return spark.createDataFrame([("u1", DAY, end, *row.values())], ddl)


def gates_jobs(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The Spark jobs by table of the gate that was logged last."""
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"gate_judged"' in line]
    jobs: dict[str, int] = said[-1]["spark_jobs"]
    return jobs


def test_features_that_cannot_be_are_refused_and_taken_back(
    spark: SparkSession, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(spark, replace(settings, var=tmp_path), DAY, DAY)
    run.settings.lake.mkdir(parents=True)

    def write(**features: Any) -> None:
        with gold_gate.judged(run):
            run.replace("gold_user_features", users(spark, **features), "TRUE")

    def kept() -> list[Any]:
        return [row["user_purchases_30d"] for row in run.read("gold_user_features").collect()]  # type: ignore[union-attr]

    with pytest.raises(GateError, match=r"rule user_purchases_30d \(features\): observed 1"):
        write(user_purchases_30d=-1)
    assert kept() == []  # there was no table before
    write(user_purchases_30d=2, user_last_purchase_at=at("08-01 23:59"))
    assert max(gates_jobs(capsys).values()) <= 2
    assert kept() == [2]
    for broken in (
        {"user_last_items": ["i"] * 31},
        {"user_last_items": ["i", None]},
        {"user_last_purchase_at": at("08-02 00:01")},  # after the cut
        {"user_purchases_30d": None},
    ):
        with pytest.raises(GateError, match=next(iter(broken))):
            write(**broken)
        assert kept() == [2]


def test_every_gate_judges_again_after_the_others(tmp_path: Path) -> None:
    """What one gate stores leaves the others' readable: a broken rule is found on the second day as on the first."""
    settings = Settings(var=tmp_path)
    for on in (DAY, DAY + timedelta(days=1)):
        for gate in (INGEST, FEATURES, ONLINE):
            rules = [rule for rule in RULES if rule.gate == gate]
            numbers = dict.fromkeys((rule.name for rule in rules), None) | {rules[0].name: 1e9}
            assert judge(settings, gate, rules, {on: numbers}) == [(rules[0].name, on)]

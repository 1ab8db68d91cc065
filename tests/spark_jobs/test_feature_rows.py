"""Consent over time, windows over cuts and session prefixes, against hand-worked values and the declared expressions."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from shop import DENIED, at, event, silver

from contracts.clock import to_micros
from contracts.cuts import Cut, days_between
from contracts.feature_sql import Engine, expression
from contracts.features import SESSION, USER
from contracts.settings import Settings
from spark_jobs import consent_times, session_rows
from spark_jobs.gold_rows import label_rows
from spark_jobs.run import Run
from spark_jobs.windows import at_cuts


def people(events: DataFrame, known_at: date | None = None) -> DataFrame:
    return consent_times.person_times(consent_times.choices(events), known_at)


def test_consent_counts_when_it_happened_and_as_it_is_known_at_each_cut(spark: SparkSession) -> None:
    denied = DENIED | {"consent_changed_at": at("08-03 09:00")}
    again = {"consent_changed_at": at("08-05 09:00")}
    events = silver(
        spark,
        [
            event("a", "08-01 10:00", user_id="u1"),
            event("b", "08-03 10:00", user_id="u1", **denied),
            event("c", "08-05 10:00", user_id="u1", **again),
            event("d", "08-02 10:00", visitor_id="v2", **DENIED),
        ],
    )
    usable = consent_times.usable(events, people(events), "personalization")
    days = [(r["event_id"], r["valid_from"].day, r["valid_to"]) for r in usable.collect()]
    # granted as known at cuts 1-2 and again from 5; the event of the 3rd happened under a denial
    forever = date(9999, 12, 31)
    assert sorted(days) == [
        ("a", 1, date(2011, 8, 2)), ("a", 5, forever), ("c", 1, date(2011, 8, 2)), ("c", 5, forever),
    ]  # fmt: skip
    known_now = consent_times.usable(events, people(events, date(2011, 8, 3)), "personalization")
    assert known_now.collect() == []


def test_a_device_that_denies_later_denies_for_its_user(spark: SparkSession) -> None:
    denied = DENIED | {"consent_changed_at": at("08-02 09:00")}
    events = silver(
        spark, [event("a", "08-01 10:00", user_id="u1"), event("b", "08-02 10:00", session_id="s2", **denied)]
    )
    times = {
        (r["linked_user_id"], r["valid_from"].day): r["consent_state"].split("|")[1]
        for r in people(events).collect()
    }
    assert times["u1", 1] == "00000"
    assert times["u1", 2] == "20000"  # personalization is the first digit, 2 is denied


def test_merged_days_equal_the_declared_expression_at_every_cut(spark: SparkSession) -> None:
    names = ("view_item", "add_to_cart", "purchase", "refund")
    events = [
        event(f"e{n}", f"{5 + n // 40:02d}-{1 + n % 28:02d} {n % 24:02d}:00", names[n % 4], user_id=f"u{n % 3}",
              item_id=f"i{n % 7}" if n % 5 else None, value_minor=n)
        for n in range(140)
    ]  # fmt: skip
    rows = silver(spark, events).withColumn("user", F.col("linked_user_id"))
    first, last = date(2011, 8, 1), date(2011, 8, 6)
    usable = rows.withColumn("valid_from", F.lit(date(2011, 1, 1))).withColumn(
        "valid_to", F.lit(date(9999, 1, 1))
    )
    found = {
        (r["user"], r["cut_on"]): r for r in at_cuts(usable, "user", USER.features, first, last).collect()
    }
    compared = 0
    for on in days_between(first, last)[::5]:
        end = to_micros(Cut(on).end)
        declared = [F.expr(expression(feature, Engine.SPARK, end)) for feature in USER.features]
        for row in rows.where(F.col("event_time") < end).groupBy("user").agg(*declared).collect():
            assert all(row[name] == found[row["user"], on][name] for name in USER.feature_names)
            compared += 1
    assert compared == 6


def test_session_rows_are_the_prefix_that_had_arrived(spark: SparkSession) -> None:
    rest = {"consent_changed_at": at("08-01 10:30")}
    rows = silver(
        spark,
        [
            event("1", "08-01 10:00", item_id="a"),
            event("2", "08-01 10:02", "add_to_cart", item_id="b", value_minor=500),
            event(
                "3", "08-01 10:01", "search", search_term="mug", received_time=at("08-01 10:03")
            ),  # arrives last
            event("4", "08-01 10:31", item_id="c", **rest),  # a new choice starts empty
            event("5", "08-01 10:32", "page_view", visitor_id="v9", **DENIED),
        ],
    )
    usable = consent_times.usable(rows, people(rows), "personalization")
    found = {r["event_id"]: r for r in session_rows.session_features(usable, 1000).collect()}
    assert {key: row["events_seen"] for key, row in found.items()} == {"1": 1, "2": 2, "3": 3, "4": 1}
    assert found["2"]["session_last_items"] == ["b", "a"]
    assert found["2"]["session_carted_minor"] == 500
    assert found["2"]["session_last_searches"] == []
    assert found["3"]["session_last_searches"] == ["mug"]
    assert found["3"]["session_last_event_at"] == at("08-01 10:02")
    assert found["4"]["session_last_items"] == ["c"]
    bounded = session_rows.session_features(usable, 2)
    assert sorted(row["event_id"] for row in bounded.collect()) == ["1", "2", "4"]
    whole = session_rows.session_at(rows.where("event_id IN ('1', '2', '3')"), ["visitor_id"]).first()
    assert all(whole[name] == found["3"][name] for name in SESSION.feature_names)


def test_a_label_stands_one_microsecond_before_its_event(spark: SparkSession) -> None:
    rows = silver(
        spark, [event("1", "08-01 10:00"), event("2", "08-01 10:01", "add_to_cart", item_id="b", user_id="u")]
    )
    usable = consent_times.usable(rows, people(rows), "personalization")
    labels = label_rows(usable).selectExpr(
        "event_id", "user_id", "label_item_id", "unix_micros(event_timestamp) AS t"
    )
    assert [tuple(row) for row in labels.collect()] == [("2", "u", "b", at("08-01 10:01") - 1)]


def test_consent_is_known_as_of_the_newest_cut_published_by_then_in_utc(spark: SparkSession) -> None:
    # 02:30 in Paris is 00:30 UTC: cut 08-30 is published at 02:00 UTC only, so 08-29 is the newest.
    paris = timezone(timedelta(hours=2))
    run = Run(
        spark, Settings(), date(2011, 8, 30), date(2011, 8, 30), datetime(2011, 8, 31, 2, 30, tzinfo=paris)
    )
    assert run.consent_cut == date(2011, 8, 29)

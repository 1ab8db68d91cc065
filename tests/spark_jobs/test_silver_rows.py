"""Which cut an event belongs to, dedup, identity and the price before."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from shop import at, bronze, event, update

from contracts.columns import spark_catalog_ddl
from contracts.settings import Settings
from spark_jobs import bronze_rows, silver_rows

DELAY = timedelta(hours=2)
LATE = timedelta(days=7)


def test_every_event_has_the_first_cut_that_holds_it(spark: SparkSession) -> None:
    events = [
        event("noon", "08-01 12:00"),
        event("same night", "08-01 23:59", received_time=at("08-02 01:59")),  # before 02:00: still cut 08-01
        event(
            "too late for it", "08-01 23:59", received_time=at("08-02 02:00")
        ),  # 02:00 itself is not before
        event(
            "after midnight", "08-02 00:30"
        ),  # happened on 08-02, though received before 08-01 was published
        event("late", "08-01 12:00", received_time=at("08-04 12:00")),
    ]
    rows = silver_rows.with_cut(bronze(spark, events), DELAY).collect()
    assert {row["event_id"]: (row["event_on"].day, row["cut_on"].day) for row in rows} == {
        "noon": (1, 1),
        "same night": (1, 1),
        "too late for it": (1, 2),
        "after midnight": (2, 2),
        "late": (1, 4),
    }


def test_the_first_copy_by_arrival_is_kept_and_known_ids_are_left_out(spark: SparkSession) -> None:
    copies = bronze(
        spark,
        [
            event("a", "08-01 10:00", received_time=at("08-01 10:05"), item_id="second"),
            event("a", "08-01 10:00", received_time=at("08-01 10:01"), item_id="first"),
            event("b", "08-01 10:00", item_id="lower offset"),
            event("b", "08-01 10:00", item_id="higher offset"),
            event("c", "08-01 10:00"),
            event("d", "08-01 10:00", item_id="the old one is no copy"),
        ],
    )
    # c could be held back and come now; of d's day nothing is taken any more.
    known = bronze(spark, [event("c", "07-24 10:00"), event("d", "07-23 10:00")])
    placed, held = (silver_rows.with_cut(rows, DELAY) for rows in (copies, known))
    rows = silver_rows.once_each(placed, held, LATE).collect()
    assert sorted((row["event_id"], row["item_id"]) for row in rows) == [
        ("a", "first"), ("b", "lower offset"), ("d", "the old one is no copy"),
    ]  # fmt: skip


def test_an_id_used_again_after_the_horizon_is_another_event_in_a_range_too(spark: SparkSession) -> None:
    days = ("08-01", "08-09", "08-18")  # 8 days on it is still a copy, 9 more are not
    events = [event("7", f"{day} 10:00") for day in days]
    rows = silver_rows.once_each(silver_rows.with_cut(bronze(spark, events), DELAY), None, LATE).collect()
    assert sorted(row["event_on"].day for row in rows) == [1, 18]


def test_a_login_links_the_device_until_a_logout(spark: SparkSession) -> None:
    events = [
        event("1 before", "08-01 10:00"),
        event("2 login", "08-01 10:01", "login", user_id="u1"),
        event("3 linked", "08-01 10:02"),
        event("4 logout", "08-01 10:03", "logout", user_id="u1"),
        event("5 alone", "08-01 10:04"),
        event("6 other device", "08-01 10:05", visitor_id="v2"),
        event("7 other day", "08-01 10:06", visitor_id="v3"),
        event("8 long ago", "08-01 10:07", visitor_id="v4"),
    ]
    earlier = [
        event("e1", "07-31 10:00", visitor_id="v3", user_id="u3"),
        event("e2", "07-01 10:00", visitor_id="v4", user_id="u4"),  # 31 days before: beyond LINK_DAYS
    ]
    before = silver_rows.with_cut(bronze(spark, earlier), DELAY)
    rows = silver_rows.with_identity(silver_rows.with_cut(bronze(spark, events), DELAY), before).collect()
    assert {row["event_id"][0]: row["linked_user_id"] for row in rows} == {
        "1": None, "2": "u1", "3": "u1", "4": "u1", "5": None, "6": None, "7": "u3", "8": None,
    }  # fmt: skip
    assert {row["shopper_id"] for row in rows} == {
        "visitor:v1",
        "user:u1",
        "visitor:v2",
        "visitor:v3",
        "visitor:v4",
    }
    assert {row["consent_state"] for row in rows} == {f"{at('01-01 00:00'):017d}|00000"}


def test_the_price_before_is_the_newest_known(spark: SparkSession) -> None:
    columns = spark_catalog_ddl()
    new = spark.createDataFrame(
        [
            tuple(update(*u).values())
            for u in (("a", "08-02 10:00", 120), ("a", "08-02 11:00", 130), ("b", "08-02 10:00", 5))
        ],
        columns,
    )
    old = spark.createDataFrame(
        [tuple(update(*u).values()) for u in (("a", "07-01 10:00", 90), ("a", "08-01 10:00", 100))], columns
    )
    dated = old.withColumn("effective_on", F.lit(date(2011, 8, 1)))
    rows = silver_rows.with_previous(new, silver_rows.items_of(dated)).collect()
    assert {(r["item_id"], r["price_minor"], r["previous_price_minor"]) for r in rows} == {
        ("a", 120, 100), ("a", 130, 120), ("b", 5, None),
    }  # fmt: skip


def test_an_event_older_than_late_horizon_is_refused_with_its_text(
    spark: SparkSession, settings: Settings
) -> None:
    week = settings.late_horizon
    text = '{"event_id": "%s", "event_time": 0, "received_time": %d}'
    lines = [text % ("in time", 7 * 86_400_000_000), text % ("late", 7 * 86_400_000_000 + 1), "no JSON"]
    records = spark.createDataFrame(
        [("s", 0, n, line) for n, line in enumerate(lines)],
        "source STRING, source_partition INT, source_offset BIGINT, value STRING",
    )
    parsed = bronze_rows.parse_events(records)
    assert [row["event_id"] for row in bronze_rows.event_rows(parsed, week).collect()] == ["in time"]
    refused = {(r["reason"], r["original"]) for r in bronze_rows.refused_events(parsed, week).collect()}
    assert refused == {("too_late", lines[1]), ("not in the flat form", "no JSON")}
    assert parsed.where("event_id = 'late'").first()["received_on"] == date(1970, 1, 8)

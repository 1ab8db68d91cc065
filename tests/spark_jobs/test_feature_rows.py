"""Consent over time, windows over cuts and session prefixes, against hand-worked values and the declared expressions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from shop import DENIED, GRANTED, at, bronze, event, silver, update

from contracts.accumulators import compute
from contracts.clock import to_micros
from contracts.columns import ITEM_COLUMNS, spark_catalog_ddl
from contracts.cuts import Cut, days_between
from contracts.feature_sql import spark_expression
from contracts.features import SESSION, SHOPPER, USER, Computed
from spark_jobs import consent_times, stream_rows
from spark_jobs.gold_rows import label_rows
from spark_jobs.item_rows import features_at_cuts
from spark_jobs.windows import at_cuts

DELAY = timedelta(hours=2)
BEGINNING = date(2011, 1, 1)


def people(events: DataFrame, known_before: datetime | None = None) -> DataFrame:
    return consent_times.person_times(consent_times.choices(events, DELAY, known_before), events)


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
    denied_at = datetime(
        2011, 8, 3, 10, tzinfo=UTC
    )  # a choice received at this moment is not known before it
    known_now = consent_times.usable(
        events, people(events, denied_at + timedelta(seconds=1)), "personalization"
    )
    assert known_now.collect() == []
    before = consent_times.usable(events, people(events, denied_at), "personalization")
    assert {r["event_id"] for r in before.collect()} == {"a", "c"}


def test_a_withdrawal_counts_from_its_receipt_though_its_day_is_not_cut_yet(spark: SparkSession) -> None:
    """Cut 08-01 is published on 08-02 at 02:00: a denial received at 01:59 is known to it, one at 02:00 is not."""
    denied = DENIED | {"consent_changed_at": at("08-02 01:00")}
    cut = silver(spark, [event("a", "08-01 10:00", user_id="u1"), event("b", "08-01 10:00", visitor_id="v2")])
    later = [
        event("c", "08-02 01:59", user_id="u1", **denied),
        event("d", "08-02 02:00", visitor_id="v2", **denied),
    ]
    came = bronze(spark, later).unionByName(cut, allowMissingColumns=True)
    known = consent_times.person_times(consent_times.choices(came, DELAY), cut)
    usable = consent_times.usable(cut, known, "personalization").where(
        "cut_on BETWEEN valid_from AND valid_to"
    )
    assert [row["event_id"] for row in usable.collect()] == ["b"]


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
    names = ("view_item", "add_to_cart", "purchase", "refund", "search", "email_open")
    events = [
        event(f"e{n}", f"{5 + n // 60:02d}-{1 + n % 28:02d} {n % 24:02d}:00", names[n % 6], user_id=f"u{n % 3}",
              session_id=f"s{n % 11}", item_id=f"i{n % 7}" if n % 5 else None, category="CBA"[n % 3], value_minor=n,
              price_minor=n % 13 or None, search_term=f"t{n % 4}", engagement_ms=n)
        for n in range(220)
    ]  # fmt: skip
    rows = silver(spark, events).withColumn("user", F.col("linked_user_id"))
    first, last = date(2011, 8, 1), date(2011, 8, 6)
    usable = rows.withColumn("valid_from", F.lit(date(2011, 1, 1))).withColumn(
        "valid_to", F.lit(date(9999, 1, 1))
    )
    features = [feature for feature in USER.features if not isinstance(feature.aggregate, Computed)]
    found = {(r["user"], r["cut_on"]): r for r in at_cuts(usable, "user", features, first, last).collect()}
    compared = 0
    for on in days_between(first, last)[::5]:
        end = to_micros(Cut(on).end)
        declared = [F.expr(spark_expression(feature, end)) for feature in features]
        for row in rows.where(F.col("event_time") < end).groupBy("user").agg(*declared).collect():
            mine = [e for e in events if e["user_id"] == row["user"] and e["event_time"] < end]
            expected = {feature.name: compute(feature, mine, end) for feature in features}
            assert row.asDict() == {"user": row["user"], **expected}
            assert found[row["user"], on].asDict() == {"cut_on": on, **row.asDict()}
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
    found = {r["event_id"]: r for r in stream_rows.after_each_event(SESSION, usable, BEGINNING).collect()}
    assert {key: row["events_seen"] for key, row in found.items()} == {"1": 1, "2": 2, "3": 3, "4": 1}
    assert found["2"]["session_last_items"] == ["b", "a"]
    assert found["2"]["session_carted_minor"] == 500
    assert found["2"]["session_last_searches"] is None
    assert found["3"]["session_last_searches"] == ["mug"]
    assert found["3"]["session_last_event_at"] == at("08-01 10:02")
    assert found["4"]["session_last_items"] == ["c"]
    whole = stream_rows.of_set(SESSION, rows.where("event_id IN ('1', '2', '3')"), ["visitor_id"]).first()
    assert all(whole[name] == found["3"][name] for name in SESSION.feature_names)


def test_a_row_is_known_when_all_that_it_holds_is(spark: SparkSession) -> None:
    """Its time is that of the newest event in it and its receipt the latest: 10:20 came before 10:10, and 23:58 of a fast
    clock counts with the next day's cut, after what was received later."""
    rows = silver(
        spark,
        [
            event("1", "08-01 10:20"),
            event("2", "08-01 10:10", received_time=at("08-01 10:30")),
            event("3", "08-02 00:01", received_time=at("08-01 23:58")),
            event("4", "08-01 23:59"),
        ],
    )
    usable = consent_times.usable(rows, people(rows), "personalization")
    found = stream_rows.after_each_event(SESSION, usable, BEGINNING).selectExpr(
        "event_id", "events_seen", "unix_micros(event_timestamp)", "unix_micros(created_timestamp)"
    )
    assert sorted(map(tuple, found.collect()), key=lambda row: row[1]) == [
        ("1", 1, at("08-01 10:20"), at("08-01 10:20")),
        ("2", 2, at("08-01 10:20"), at("08-01 10:30")),
        ("4", 3, at("08-01 23:59"), at("08-01 23:59")),
        ("3", 4, at("08-02 00:01"), at("08-01 23:59")),
    ]


def test_a_session_of_six_days_is_followed_to_its_first_event(spark: SparkSession) -> None:
    """Each cut for itself and the range of them make the same rows: what is asked for is where rows begin, not events."""
    rows = silver(spark, [event(str(day), f"08-0{day} 10:00", item_id=f"i{day}") for day in range(1, 7)])
    usable = consent_times.usable(rows, people(rows), "personalization")
    whole = {r["event_id"]: r for r in stream_rows.after_each_event(SESSION, usable, BEGINNING).collect()}
    last = stream_rows.after_each_event(SESSION, usable, date(2011, 8, 6)).collect()
    assert [row["event_id"] for row in last] == ["6"]
    assert last[0] == whole["6"]
    assert last[0]["events_seen"] == 6


def test_a_label_stands_one_microsecond_before_its_event(spark: SparkSession) -> None:
    rows = silver(
        spark, [event("1", "08-01 10:00"), event("2", "08-01 10:01", "add_to_cart", item_id="b", user_id="u")]
    )
    usable = consent_times.usable(rows, people(rows), "personalization")
    labels = label_rows(usable, consent_times.withdrawals(rows)).selectExpr(
        "event_id",
        "user_id",
        "shopper_id",
        "label_item_id",
        "withdrawn_at",
        "unix_micros(event_timestamp) AS t",
    )
    assert [tuple(row) for row in labels.collect()] == [
        ("2", "u", "user:u", "b", None, at("08-01 10:01") - 1)
    ]


def test_a_label_knows_the_withdrawals_received_before_it(spark: SparkSession) -> None:
    """By its device, and by the user if its event names one; the newest of these was made at 09:00, 11:00 or never."""

    def chosen(number: str, when: str, state: dict[str, str], **more: Any) -> dict[str, Any]:
        return event(number, when, "consent_update", **{**state, "consent_changed_at": at(when)}, **more)

    def cart(number: str, when: str, **more: Any) -> dict[str, Any]:
        return event(number, when, "add_to_cart", item_id="b", **more)

    events = [
        cart("1", "08-01 08:00", user_id="u"),
        chosen("2", "08-01 09:00", DENIED),
        chosen("3", "08-01 09:30", GRANTED),
        cart("4", "08-01 10:00"),
        # On another device, and received only at 12:00.
        chosen("5", "08-01 11:00", DENIED, visitor_id="v2", user_id="u", received_time=at("08-01 12:00")),
        chosen("6", "08-01 11:30", GRANTED, visitor_id="v2", user_id="u"),
        cart("7", "08-01 11:59", user_id="u"),
        cart("8", "08-01 12:01", user_id="u"),
        cart("9", "08-01 12:02"),
        cart("10", "08-01 12:03", visitor_id="v3"),
    ]
    rows = silver(spark, events)
    usable = consent_times.usable(rows, people(rows), "personalization")
    labels = label_rows(usable, consent_times.withdrawals(rows)).collect()
    nine, eleven = at("08-01 09:00"), at("08-01 11:00")
    assert {row["event_id"]: row["withdrawn_at"] for row in labels} == {
        "1": None, "4": nine, "7": nine, "8": eleven, "9": nine, "10": None,
    }  # fmt: skip


def test_the_shopper_row_follows_the_user_over_devices_and_days(spark: SparkSession) -> None:
    mute = {"preference_action": "mute", "preference_scope": "item", "preference_value": "a"}
    bought = {"user_id": "u1", "value_minor": 250}
    rows = silver(
        spark,
        [
            event("1", "08-01 10:00", "purchase", **bought),
            event("2", "08-02 10:00", "preference_set", visitor_id="v2", user_id="u1", **mute),
            event("3", "08-02 11:00", "purchase", visitor_id="v2", **bought),
            event("4", "08-09 10:00", "page_view", user_id="u1"),  # 8 days end with 08-09: 08-01 is out
            event("5", "08-09 10:00", "page_view"),  # not logged in: the device's own row
        ],
    )
    usable = consent_times.usable(rows, people(rows), "personalization")
    found = {r["event_id"]: r for r in stream_rows.after_each_event(SHOPPER, usable, BEGINNING).collect()}
    assert {key: row["shopper_id"] for key, row in found.items()} == {
        **dict.fromkeys("1234", "user:u1"), "5": "visitor:v1",
    }  # fmt: skip
    assert found["3"]["shopper_purchases_by_day"] == ["2011-08-02=1", "2011-08-01=1"]
    assert found["3"]["shopper_spend_minor_by_day"] == ["2011-08-02=250", "2011-08-01=250"]
    assert found["4"]["shopper_purchases_by_day"] == ["2011-08-02=1"]
    assert (found["4"]["shopper_muted_items"], found["4"]["events_seen"]) == (["a"], 4)


def test_items_met_together_and_every_item_of_a_purchase(spark: SparkSession) -> None:
    bought = [dict.fromkeys(ITEM_COLUMNS) | {"item_id": item} for item in ("a", "b", "b")]
    rows = silver(
        spark,
        [
            event("1", "08-01 10:00", item_id="a"),
            event("2", "08-01 10:01", item_id="b"),
            event("3", "08-01 10:02", item_id="c"),
            event("4", "08-01 10:03", "purchase", items=bought),
            event("5", "08-02 10:00", session_id="s2", item_id="a"),
            event("6", "08-02 10:01", session_id="s2", item_id="c"),
            event("7", "08-20 10:00", session_id="s3", item_id="b"),
        ],
    )
    usable = consent_times.usable(rows, people(rows), "analytics")
    catalog = spark.createDataFrame([tuple(update("a", "08-02 08:00", 90).values())], spark_catalog_ddl())
    history = catalog.withColumn("effective_on", F.lit(date(2011, 8, 2)))
    first, last = date(2011, 8, 1), date(2011, 8, 20)
    found = {
        (r["item_id"], r["cut_on"].day): r for r in features_at_cuts(usable, history, first, last).collect()
    }
    # Sessions s1 {a, b, c} and s2 {a, c}: a met c twice, b once; equals stand in the order of their ids.
    assert found["a", 1]["item_covisited_7d"] == ["b", "c"]
    assert found["a", 2]["item_covisited_7d"] == ["c", "b"]
    assert found["a", 20]["item_covisited_7d"] is None
    assert [found[i, 2]["item_purchases_30d"] for i in "abc"] == [1, 1, 0]  # b is named twice in one purchase
    assert (found["a", 1]["item_price_min_minor_30d"], found["a", 2]["item_price_min_minor_30d"]) == (
        None,
        90,
    )
    assert (found["a", 2]["item_price_updates_30d"], found["b", 20]["item_views_7d"]) == (1, 1)

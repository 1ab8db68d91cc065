"""Consent over time, pure: what is known of a shopper at each cut, as intervals of cuts.

The choice that holds is the MAX of the encoded states (`contracts.consent`) that had been received by a moment: a cut's
publication, or the run's `consent_as_of`. Choices are read from bronze, so that a withdrawal counts though its own day is
not cut yet, or was refused. A choice changes on few cuts, so it is kept as rows valid from one cut to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.clock import MICROSECOND, to_micros
from contracts.consent import granted_sql, state_sql, withdrawn_sql
from contracts.events import CONSENT_KEYS_SQL
from spark_jobs.bronze_rows import dated

FOREVER = date(9999, 12, 31)
FIRST = date(1970, 1, 1)
PERSON = ("linked_user_id", "visitor_id")


def choices(events: DataFrame, publish_delay: timedelta, known_before: datetime | None = None) -> DataFrame:
    """What was received under each key, by the first cut that was published after it (`known_on`).

    A choice counts for the device that it was made on and for the user who was logged in there.

    Args:
        events: flat events as they came (bronze); a repeated one changes nothing but `events`.
        known_before: count what was received before this moment for every cut; None: each cut for itself.
    """
    received = events if known_before is None else events.where(f"received_time < {to_micros(known_before)}")
    known_on = (
        F.lit(FIRST) if known_before else F.expr(dated(f"received_time - {publish_delay // MICROSECOND}"))
    )
    keyed = _keyed(
        received,
        F.expr(state_sql()).alias("state"),
        F.expr(withdrawn_sql()).alias("withdrawn_at"),
        known_on.alias("known_on"),
        F.struct("event_time", "event_id", "visitor_id", "session_id").alias("newest"),
    )
    return keyed.groupBy("shopper_id", "known_on").agg(
        F.max("state").alias("state"),
        F.max("withdrawn_at").alias("withdrawn_at"),
        F.count("*").alias("events"),
        F.max("newest").alias("newest"),
    )


def withdrawals(events: DataFrame) -> DataFrame:
    """`shopper_id` and its `withdrawals`: each choice that took `personalization` away, as (`received_time`, `withdrawn_at`).

    Args:
        events: flat events as they came (bronze).
    """
    keyed = _keyed(events, F.expr(withdrawn_sql()).alias("withdrawn_at"), F.col("received_time"))
    taken = keyed.where("withdrawn_at IS NOT NULL")
    first = taken.groupBy("shopper_id", "withdrawn_at").agg(F.min("received_time").alias("received_time"))
    each = F.collect_list(F.struct("received_time", "withdrawn_at")).alias("withdrawals")
    return first.groupBy("shopper_id").agg(each)


def _keyed(events: DataFrame, *columns: Column) -> DataFrame:
    """The columns of each event, under the key of its device and that of its user: `shopper_id`."""
    keys = F.explode(F.array(*map(F.expr, CONSENT_KEYS_SQL))).alias("shopper_id")
    return events.select(keys, *columns).where("shopper_id IS NOT NULL")


def shopper_times(chosen: DataFrame) -> DataFrame:
    """`shopper_id`, `consent_state`, `withdrawn_at`, `newest`, `events_seen`, valid from cut `valid_from` to `valid_to`."""
    return _intervals(chosen, ["shopper_id"])


def person_times(chosen: DataFrame, silver: DataFrame) -> DataFrame:
    """The newest choice under the user's and the device's key: per (`linked_user_id`, `visitor_id`), as intervals.

    Args:
        silver: whose distinct pairs of user and device are asked for.
    """
    people = silver.select(*PERSON).distinct()
    keys = F.array(F.concat(F.lit("visitor:"), "visitor_id"), F.concat(F.lit("user:"), "linked_user_id"))
    keyed = people.withColumn("shopper_id", F.explode(keys)).where("shopper_id IS NOT NULL")
    return _intervals(keyed.join(chosen, "shopper_id"), PERSON).drop("events_seen", "newest", "withdrawn_at")


def granted(state: str, purpose: str) -> Column:
    """Whether the encoded state in the column `state` grants `purpose`."""
    return F.expr(granted_sql(state, purpose))


def usable(events: DataFrame, people: DataFrame, purpose: str) -> DataFrame:
    """Events granted for `purpose` when they happened, once for each interval of cuts in which it is granted still."""
    allowed = people.where(granted("consent_state", purpose)).select(
        F.col("visitor_id").alias("p_visitor"),
        F.col("linked_user_id").alias("p_user"),
        "valid_from",
        "valid_to",
    )
    same = (F.col("visitor_id") == F.col("p_visitor")) & F.col("linked_user_id").eqNullSafe(F.col("p_user"))
    happened = events.where(F.col(f"consent_{purpose}") == "granted")
    return happened.join(allowed, same, "inner").drop("p_visitor", "p_user")


def _intervals(chosen: DataFrame, keys: Sequence[str]) -> DataFrame:
    daily = chosen.groupBy(*keys, "known_on").agg(
        F.max("state").alias("state"),
        F.max("withdrawn_at").alias("withdrawn_at"),
        F.sum("events").alias("events"),
        F.max("newest").alias("newest"),
    )
    past = Window.partitionBy(*keys).orderBy("known_on").rowsBetween(Window.unboundedPreceding, 0)
    following = F.lead("known_on").over(Window.partitionBy(*keys).orderBy("known_on"))
    return daily.select(
        *keys,
        F.max("state").over(past).alias("consent_state"),
        F.max("withdrawn_at").over(past).alias("withdrawn_at"),
        F.max("newest").over(past).alias("newest"),
        F.sum("events").over(past).alias("events_seen"),
        F.col("known_on").alias("valid_from"),
        F.coalesce(F.date_sub(following, 1), F.lit(FOREVER)).alias("valid_to"),
    )

"""Consent over time, pure: what is known of a shopper at each cut, as intervals of cuts.

The choice that holds is the MAX of the encoded states (`contracts.consent`) that had arrived by a cut. It changes on few
cuts, so it is kept as rows valid from one cut to another, and joined by range.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.consent import DIGITS, PURPOSE_ORDER, TIME_DIGITS

FOREVER = date(9999, 12, 31)
FIRST = date(1970, 1, 1)


def choices(silver: DataFrame) -> DataFrame:
    """What arrived of each shopper by each cut: the greatest state and the number of events, a row a device and link."""
    return silver.groupBy("shopper_id", "linked_user_id", "visitor_id", "cut_on").agg(
        F.max("consent_state").alias("state"), F.count("*").alias("events")
    )


def shopper_times(arrived: DataFrame, known_at: date | None = None) -> DataFrame:
    """`shopper_id`, `consent_state`, `events_seen`, valid from cut `valid_from` to cut `valid_to`.

    Args:
        arrived: `choices`.
        known_at: count what was known at this cut for every cut; None: each cut for itself.
    """
    return _intervals(arrived, ["shopper_id"], known_at)


def person_times(arrived: DataFrame, known_at: date | None = None) -> DataFrame:
    """The newest choice under the user's and the device's key: per (`linked_user_id`, `visitor_id`), as intervals."""
    people = arrived.select("linked_user_id", "visitor_id").distinct()
    keys = F.array(F.concat(F.lit("visitor:"), "visitor_id"), F.concat(F.lit("user:"), "linked_user_id"))
    keyed = people.withColumn("shopper_id", F.explode(keys)).where("shopper_id IS NOT NULL")
    known = keyed.join(arrived.select("shopper_id", "cut_on", "state", "events"), "shopper_id")
    return _intervals(known, ["linked_user_id", "visitor_id"], known_at).drop("events_seen")


def granted(state: str, purpose: str) -> Column:
    """Whether the encoded state in the column `state` grants `purpose`."""
    place = TIME_DIGITS + 2 + PURPOSE_ORDER.index(purpose)
    return F.substring(state, place, 1) == DIGITS["granted"]


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
    return happened.join(F.broadcast(allowed), same, "inner").drop("p_visitor", "p_user")


def _intervals(arrived: DataFrame, keys: Sequence[str], known_at: date | None) -> DataFrame:
    if known_at is not None:
        known = arrived.where(F.col("cut_on") <= F.lit(known_at))
        return known.groupBy(*keys).agg(
            F.max("state").alias("consent_state"),
            F.sum("events").alias("events_seen"),
            F.lit(FIRST).alias("valid_from"),
            F.lit(FOREVER).alias("valid_to"),
        )
    daily = arrived.groupBy(*keys, "cut_on").agg(
        F.max("state").alias("state"), F.sum("events").alias("events")
    )
    past = Window.partitionBy(*keys).orderBy("cut_on").rowsBetween(Window.unboundedPreceding, 0)
    following = F.lead("cut_on").over(Window.partitionBy(*keys).orderBy("cut_on"))
    return daily.select(
        *keys,
        F.max("state").over(past).alias("consent_state"),
        F.sum("events").over(past).alias("events_seen"),
        F.col("cut_on").alias("valid_from"),
        F.coalesce(F.date_sub(following, 1), F.lit(FOREVER)).alias("valid_to"),
    )

"""Rules and measures written by hand: what no single field can say, and a day against the days before it.

Their limits stand far outside of what ten months of a real shop showed (`make data-faults` counts false alarms): a
refused day costs more than a strange one.
"""

from __future__ import annotations

from contracts.events import FUTURE_TOLERANCE_MICROS, NAMES, PURPOSES
from contracts.expectations.rules import CATALOG, EVENTS, FEATURES, INGEST, ONLINE, REJECTED, Measure, Rule
from contracts.expectations.trends import (
    HOURS,
    LEAST_ROWS,
    TRAILING_DAYS,
    absent,
    alone,
    beyond,
    change,
    fewer_kinds,
    first_hour,
    grown_kinds,
    hours_lost,
    judged,
    last_hour,
    many,
    missing_kinds,
    more_kinds,
    open_hours,
    quotient,
    ratio,
    reject_share,
    rows_of,
    visits_thinner,
)

PRICE_JUMP_FACTOR = 5
FEW_ROWS = 20
"""Enough to see that a kind of event is gone: most of the day may be of that kind."""
BEHIND_MICROS = 3_600_000_000
AHEAD_MICROS = 1_000_000


def _events(name: str, sql: str) -> Measure:
    return Measure(f"{EVENTS}.{name}", INGEST, EVENTS, sql)


def _share(name: str, condition: str) -> Measure:
    return _events(name, f"AVG(IF({condition}, 1D, 0D))")


KINDS = tuple(f"{EVENTS}.name.{name}" for name in NAMES)
GRANTED = tuple(f"{EVENTS}.granted.{purpose}" for purpose in PURPOSES)
MEASURES = (
    *(_events(f"name.{name}", f"COUNT_IF(event_name = '{name}')") for name in NAMES),
    *(_share(f"granted.{purpose}", f"consent_{purpose} = 'granted'") for purpose in PURPOSES),
    _events(HOURS, "BIT_OR(SHIFTLEFT(1, HOUR(timestamp_micros(event_time))))"),
    _events("hour_mean", "AVG(pmod(event_time, 86400000000)) / 3.6e9"),
    _events("visitors", "APPROX_COUNT_DISTINCT(visitor_id)"),
    _events("sessions", "APPROX_COUNT_DISTINCT(xxhash64(visitor_id, session_id))"),
    _events("session_ids", "APPROX_COUNT_DISTINCT(session_id)"),
    _events("users", "APPROX_COUNT_DISTINCT(user_id)"),
    _events("with_user", "COUNT(user_id)"),
    _events("copies", "AVG(copies)"),
    _events("ids_shared", "1 - APPROX_COUNT_DISTINCT(event_id, 0.02) / COUNT(*)"),
    _events("reused", "SUM(IF(copies_differ, copies, 0)) / SUM(copies)"),
    _share("behind", f"received_time - event_time > {BEHIND_MICROS}"),
    _share("ahead", f"event_time - received_time > {AHEAD_MICROS}"),
    _share("just_chosen", f"abs(event_time - consent_changed_at) <= {AHEAD_MICROS}"),
    _events("unknown_items", "AVG(IF(item_known, 0D, 1D)) FILTER (WHERE item_id IS NOT NULL)"),
    _events(
        "price_off",
        f"AVG(IF(price_minor > {PRICE_JUMP_FACTOR} * first_price_minor "
        f"OR price_minor * {PRICE_JUMP_FACTOR} < first_price_minor, 1D, 0D)) "
        "FILTER (WHERE price_minor IS NOT NULL AND first_price_minor IS NOT NULL)",
    ),
    _events(
        "foreign_currency",
        "AVG(IF(get(items, 0).currency <> first_currency, 1D, 0D)) "
        "FILTER (WHERE get(items, 0).currency IS NOT NULL AND first_currency IS NOT NULL)",
    ),
    Measure(f"{CATALOG}.in_stock", INGEST, CATALOG, "AVG(IF(availability = 'in_stock', 1D, 0D))"),
    Measure(f"{CATALOG}.new_items", INGEST, CATALOG, "AVG(IF(previous_price_minor IS NULL, 1D, 0D))"),
    Measure(f"{CATALOG}.titles", INGEST, CATALOG, "APPROX_COUNT_DISTINCT(title)"),
)

_JUMP = (
    f"price_minor > {PRICE_JUMP_FACTOR} * previous_price_minor "
    f"OR price_minor * {PRICE_JUMP_FACTOR} < previous_price_minor"
)

RULES = (
    Rule("event_after_received", INGEST, "No event happens after it was received", EVENTS, "clock",
         f"event_time > received_time + {FUTURE_TOLERANCE_MICROS}"),
    Rule("consent_after_received", INGEST, "No choice is made after the event was received", EVENTS, "clock",
         f"consent_changed_at > received_time + {FUTURE_TOLERANCE_MICROS}"),
    Rule("currency_mixed", INGEST, "The items of an event have one currency", EVENTS, "currency",
         "size(array_distinct(filter(items.currency, one -> one IS NOT NULL))) > 1"),
    Rule("event_id_reused", INGEST, "At most one record of a hundred has the id of a record that says something else",
         EVENTS, "duplicates", number=alone(f"{EVENTS}.reused"), allowed=0.01),
    Rule("ids_shared", INGEST, "At most one event of twelve has an id that other devices have too (estimated)", EVENTS,
         "duplicates", number=alone(f"{EVENTS}.ids_shared"), allowed=0.08, minimum=-1),
    Rule("copies_mean", INGEST, "A day comes at most twice; repeats are counted once, but more of them are a fault",
         EVENTS, "duplicates", number=alone(f"{EVENTS}.copies"), allowed=2.2),
    Rule("twin_share", INGEST, "At most a tenth of the events equal another of the day but for their id", EVENTS,
         "duplicates", "is_twin", share=True, least=LEAST_ROWS, allowed=0.1),
    Rule("bot_share", INGEST, "At most three events of ten come from a device beyond SESSION_MAX_EVENTS a day", EVENTS,
         "bot", "is_bot", share=True, least=LEAST_ROWS, allowed=0.3),
    Rule("price_jump_share", INGEST,
         f"At most a fifth of the updates move a known price by more than a factor {PRICE_JUMP_FACTOR}", CATALOG,
         "amount", _JUMP, among="previous_price_minor IS NOT NULL", share=True, allowed=0.2),
    Rule("currency_moved_share", INGEST, "At most a twentieth of the updates change an item's currency", CATALOG,
         "currency", "currency <> previous_currency", among="previous_currency IS NOT NULL", share=True, allowed=0.05),
    Rule("reject_share", INGEST, "At most the declared share of records is refused at the door", REJECTED, "rejects",
         number=reject_share),
    Rule("volume_ratio", INGEST,
         f"An open day has between a twentieth and 5 times the events of the open days of {TRAILING_DAYS} days before, "
         "of its own weekday where there are enough; a closed day is valid and empty", EVENTS, "volume",
         number=judged(ratio(rows_of(EVENTS), by_weekday=True), least=1), allowed=5, minimum=0.05),
    Rule("open_hours_ratio", INGEST, "Events come in more than half of the usual hours", EVENTS, "volume",
         number=judged(open_hours), allowed=24, minimum=0.55),
    Rule("hours_lost", INGEST, "At most two hours are empty that had events on each day before", EVENTS, "volume",
         number=judged(many(hours_lost)), allowed=2),
    Rule("first_hour_later", INGEST, "The day begins at most 3 hours later than usual", EVENTS, "volume",
         number=judged(first_hour), allowed=3, minimum=-24),
    Rule("last_hour_later", INGEST, "The day ends at most 3 hours earlier than usual", EVENTS, "volume",
         number=judged(last_hour), allowed=24, minimum=-3),
    Rule("hour_mean_change", INGEST, "The middle of the day moves by at most 4 hours", EVENTS, "clock",
         number=judged(change(f"{EVENTS}.hour_mean")), allowed=4, minimum=-4),
    Rule("late_share_change", INGEST, "Not a fifth more of the events than usual is received an hour late", EVENTS,
         "clock", number=judged(change(f"{EVENTS}.behind")), allowed=0.2, minimum=-1),
    Rule("ahead_share_change", INGEST, "Not a tenth more of the events than usual is ahead of its receipt", EVENTS,
         "clock", number=judged(change(f"{EVENTS}.ahead")), allowed=0.1, minimum=-1),
    Rule("kinds_missing", INGEST, "No kind of event is all but gone", EVENTS, "mix",
         number=judged(missing_kinds(KINDS), least=FEW_ROWS)),
    Rule("kinds_grown", INGEST, "No kind of event takes the day over", EVENTS, "mix", number=judged(grown_kinds(KINDS))),
    Rule("kinds_fewer", INGEST, "No kind of event comes, for each visit, far less than on the lowest day before", EVENTS,
         "mix", number=judged(fewer_kinds(KINDS, f"{EVENTS}.sessions"), least=FEW_ROWS)),
    Rule("visits_thinner", INGEST, "Not every kind of event comes far less for each visit: parts of the day are lost",
         EVENTS, "volume", number=judged(visits_thinner(KINDS, f"{EVENTS}.sessions"))),
    Rule("kinds_more", INGEST, "No kind of event comes, for each visit, far more than on the highest day before", EVENTS,
         "mix", number=judged(more_kinds(KINDS, f"{EVENTS}.sessions"))),
    Rule("unknown_items_change", INGEST, "Not a twentieth more of the items than usual is unknown to the catalog",
         EVENTS, "items", number=judged(change(f"{EVENTS}.unknown_items")), allowed=0.05, minimum=-1),
    Rule("price_off_change", INGEST,
         f"Not a sixteenth more of the prices than usual is a factor {PRICE_JUMP_FACTOR} off the item's first one",
         EVENTS, "amount", number=judged(change(f"{EVENTS}.price_off")), allowed=0.06, minimum=-1),
    Rule("currency_change", INGEST, "Not a twentieth more of the prices than usual is in another currency than the "
         "catalog's", EVENTS, "currency", number=judged(change(f"{EVENTS}.foreign_currency")), allowed=0.05, minimum=-1),
    Rule("consent_change", INGEST, "No purpose is granted by half more, or half less, of the events than usual", EVENTS,
         "consent", number=judged(change(*GRANTED)), allowed=0.5, minimum=-0.5),
    Rule("consent_beyond", INGEST, "No purpose is granted by a seventh more, or less, than the days before can explain",
         EVENTS, "consent", number=judged(beyond(*GRANTED)), allowed=0.15, minimum=-1),
    Rule("just_chosen_change", INGEST, "Not half more of the events than usual carry a choice made that second", EVENTS,
         "consent", number=judged(change(f"{EVENTS}.just_chosen")), allowed=0.5, minimum=-1),
    Rule("events_per_visitor_ratio", INGEST, "A device has a fifth to 5 times the usual events", EVENTS, "identity",
         number=judged(quotient(rows_of(EVENTS), f"{EVENTS}.visitors")), allowed=5, minimum=0.2),
    Rule("events_per_session_ratio", INGEST, "A session has a fifth to 5 times the usual events", EVENTS, "identity",
         number=judged(quotient(rows_of(EVENTS), f"{EVENTS}.sessions")), allowed=5, minimum=0.2),
    Rule("session_ids_ratio", INGEST, "Devices share session ids at most twice as much as usual", EVENTS, "identity",
         number=judged(quotient(f"{EVENTS}.session_ids", f"{EVENTS}.sessions")), allowed=5, minimum=0.5),
    Rule("events_per_user_ratio", INGEST, "A user has a fifth to 5 times the usual events", EVENTS, "identity",
         number=judged(quotient(f"{EVENTS}.with_user", f"{EVENTS}.users")), allowed=5, minimum=0.2),
    Rule("catalog_absent", INGEST, "Updates come, as on each day before", EVENTS, "catalog",
         number=judged(absent(rows_of(CATALOG)))),
    Rule("new_items_change", INGEST, "Not half more of the updates than usual is of items never seen", CATALOG, "catalog",
         number=judged(change(f"{CATALOG}.new_items"), CATALOG), allowed=0.5, minimum=-1),
    Rule("in_stock_change", INGEST, "Not half more, or less, of the updates than usual is in stock", CATALOG, "catalog",
         number=judged(change(f"{CATALOG}.in_stock"), CATALOG), allowed=0.5, minimum=-0.5),
    Rule("titles_ratio", INGEST, "Titles differ at least half as much as usual", CATALOG, "catalog",
         number=judged(quotient(f"{CATALOG}.titles", rows_of(CATALOG)), CATALOG), allowed=5, minimum=0.5),
    Rule("event_id_repeated", FEATURES, "Every event is in silver once", "silver_events", "duplicates", "copies > 1"),
    Rule("identity_lost", FEATURES, "The event's own user is its linked user", "silver_events", "identity",
         "user_id IS NOT NULL AND NOT (linked_user_id <=> user_id)"),
    Rule("value_negative", FEATURES, "No event has a negative value", "silver_events", "amount", "value_minor < 0"),
    Rule("consent_state_malformed", FEATURES, "Every consent is encoded as contracts.consent says", "silver_events",
         "consent", "consent_state IS NULL OR NOT consent_state RLIKE '^[0-9]{17}[|][012]{5}$'"),
    Rule("user_rows_ratio", ONLINE, "At least half as many users as at the cuts before", "gold_user_features", "volume",
         number=judged(ratio(rows_of("gold_user_features")), "gold_user_features"), allowed=10, minimum=0.5),
    Rule("item_rows_ratio", ONLINE, "At least half as many items as at the cuts before", "gold_item_features", "volume",
         number=judged(ratio(rows_of("gold_item_features")), "gold_item_features"), allowed=10, minimum=0.5),
)  # fmt: skip

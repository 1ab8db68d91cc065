"""The rules of both gates; a failed rule refuses the day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contracts.catalog import AVAILABILITIES
from contracts.events import CONSENT_STATES, FUTURE_TOLERANCE_MICROS, NAMES, PURPOSES

PRICE_JUMP_FACTOR = 5
TRAILING_DAYS = 28
"""How far back a day's volume is compared."""
MIN_TRAILING_DAYS = 5
"""With fewer open days before it, a day's volume is not judged."""


class Gate(StrEnum):
    """What a day passes through; the value names it in reports and Data Docs."""

    INGEST = "bronze_to_silver"
    FEATURES = "silver_to_gold"


INGEST, FEATURES = Gate.INGEST, Gate.FEATURES


@dataclass(frozen=True, slots=True)
class Rule:
    """One number a day and what it may be.

    Attributes:
        table: whose rows are counted; "" for a number of the whole day (`spark_jobs.gates.day_numbers`).
        violation: SQL over a row of the table, true of a row that breaks the rule.
        among: SQL, the rows that a share is of.
        share: the number is violations / rows of `among`, else the count of violations.
        allowed: the greatest number that passes; `minimum` the least.
    """

    name: str
    gate: Gate
    doc: str
    table: str
    violation: str = "FALSE"
    among: str = "TRUE"
    share: bool = False
    allowed: float = 0
    minimum: float | None = None


def _outside(column: str, allowed: tuple[str, ...]) -> str:
    names = ", ".join(f"'{name}'" for name in allowed)
    return f"({column} IS NULL OR {column} NOT IN ({names}))"


def _null(*columns: str) -> str:
    return " OR ".join(f"{column} IS NULL" for column in columns)


_KNOWN_PRICE = "previous_price_minor IS NOT NULL"
_JUMP = (
    f"price_minor > {PRICE_JUMP_FACTOR} * previous_price_minor "
    f"OR price_minor * {PRICE_JUMP_FACTOR} < previous_price_minor"
)

RULES = (
    Rule("event_key_missing", INGEST, "Every event has its id, device, session and times", "bronze_events",
         _null("event_id", "visitor_id", "session_id", "event_time", "received_time", "consent_changed_at")),
    Rule("event_name_unknown", INGEST, "Every event has a declared name", "bronze_events",
         _outside("event_name", NAMES)),
    Rule("consent_unknown_word", INGEST, "Every purpose is granted, denied or unknown", "bronze_events",
         " OR ".join(_outside(f"consent_{purpose}", CONSENT_STATES) for purpose in PURPOSES)),
    Rule("event_after_received", INGEST, "No event happens after it was received", "bronze_events",
         f"event_time > received_time + {FUTURE_TOLERANCE_MICROS}"),
    Rule("catalog_key_missing", INGEST, "Every update names its item, title and currency", "bronze_catalog",
         _null("item_id", "title", "currency", "effective_time")),
    Rule("availability_unknown_word", INGEST, "Availability is a declared word", "bronze_catalog",
         _outside("availability", AVAILABILITIES)),
    Rule("price_not_positive", INGEST, "Every price is above 0", "bronze_catalog",
         "price_minor IS NULL OR price_minor <= 0"),
    Rule("price_jump_share", INGEST,
         f"At most a fifth of the updates move a known price by more than a factor {PRICE_JUMP_FACTOR}",
         "bronze_catalog", _JUMP, among=_KNOWN_PRICE, share=True, allowed=0.2),
    Rule("reject_share", INGEST, "At most two records of five are refused at the door", "", share=True, allowed=0.4),
    Rule("volume_ratio", INGEST,
         f"An open day has between 2 % and 10 times the mean of the open days of {TRAILING_DAYS} days before; a "
         "closed day is valid and empty", "", allowed=10, minimum=0.02),
    Rule("event_id_repeated", FEATURES, "Every event is in silver once", "silver_events", "copies > 1"),
    Rule("identity_lost", FEATURES, "The event's own user is its linked user", "silver_events",
         "user_id IS NOT NULL AND NOT (linked_user_id <=> user_id)"),
    Rule("value_negative", FEATURES, "No event has a negative value", "silver_events", "value_minor < 0"),
    Rule("consent_state_malformed", FEATURES, "Every consent is encoded as contracts.consent says", "silver_events",
         "consent_state IS NULL OR NOT consent_state RLIKE '^[0-9]{17}[|][012]{5}$'"),
)  # fmt: skip
DAY_RULES = tuple(rule for rule in RULES if not rule.table)


def rules_of(gate: Gate, table: str) -> tuple[Rule, ...]:
    """The rules of a gate over one table, in the order of their declaration."""
    return tuple(rule for rule in RULES if rule.gate is gate and rule.table == table)

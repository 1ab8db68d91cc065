"""Consent as one comparable string, so that "the newest choice" is a MAX in every engine.

`state_of` encodes `changed_at` (fixed width, so text order is time order) and one digit per purpose. Two
choices of the same instant: the stricter digit is the greater one, personalization first, so a MAX never
grants what one of them denied for personalization.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PURPOSE_ORDER = ("personalization", "email", "push", "analytics", "ads")
DIGITS = {"granted": "0", "unknown": "1", "denied": "2"}
STATES = {digit: state for state, digit in DIGITS.items()}
TIME_DIGITS = 17
STATE = re.compile(rf"([0-9]{{{TIME_DIGITS}}})\|([{''.join(STATES)}]{{{len(PURPOSE_ORDER)}}})")


def state_of(event: Mapping[str, Any]) -> str:
    """The consent of one flat event: 17 digits of changed_at µs, `|`, five digits of purposes."""
    digits = "".join(DIGITS[event[f"consent_{purpose}"]] for purpose in PURPOSE_ORDER)
    return f"{event['consent_changed_at']:0{TIME_DIGITS}d}|{digits}"


def state_sql() -> str:
    """`state_of` over the flat columns, in SQL that Spark and Flink both read."""
    digits = ", ".join(
        f"CASE consent_{purpose} WHEN 'granted' THEN '0' WHEN 'unknown' THEN '1' ELSE '2' END"
        for purpose in PURPOSE_ORDER
    )
    return f"CONCAT(LPAD(CAST(consent_changed_at AS STRING), {TIME_DIGITS}, '0'), '|', {digits})"


def withdrawn_sql() -> str:
    """When this event's choice took `personalization` away, else NULL, in SQL that Spark and Flink both read."""
    return f"CASE WHEN consent_{PURPOSE_ORDER[0]} <> 'granted' THEN consent_changed_at END"


def withdrawn_at(event: Mapping[str, Any]) -> int | None:
    """`withdrawn_sql` of one flat event: epoch µs."""
    changed_at: int = event["consent_changed_at"]
    return None if event[f"consent_{PURPOSE_ORDER[0]}"] == "granted" else changed_at


def granted_sql(state: str, purpose: str) -> str:
    """Whether the encoded state in the column `state` grants `purpose`, in SQL that Spark and Flink both read."""
    place = TIME_DIGITS + 2 + PURPOSE_ORDER.index(purpose)
    return f"SUBSTRING({state}, {place}, 1) = '{DIGITS['granted']}'"


def purposes_of(state: str) -> dict[str, str]:
    """Purpose → granted | denied | unknown, from an encoded state.

    Raises:
        ValueError: it is not what `state_of` writes.
    """
    _, digits = _parts(state)
    return {purpose: STATES[digit] for purpose, digit in zip(PURPOSE_ORDER, digits, strict=True)}


def changed_at_of(state: str) -> int:
    """Epoch microseconds of the choice that an encoded state holds.

    Raises:
        ValueError: it is not what `state_of` writes.
    """
    return int(_parts(state)[0])


def checked(value: object) -> str:
    """`value`, an encoded state.

    Raises:
        ValueError: it is not what `state_of` writes.
    """
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is not an encoded consent state")
    _parts(value)
    return value


def newest(states: list[str]) -> str | None:
    """The choice that holds, of those known under a shopper's keys (user and device); None if none is known."""
    return max(states, default=None)


def granted(state: str | None, purpose: str) -> bool:
    """Whether `purpose` is allowed. Nothing known is not a grant.

    Raises:
        ValueError: `state` is not what `state_of` writes.
    """
    return state is not None and purposes_of(state)[purpose] == "granted"


def _parts(state: str) -> tuple[str, str]:
    """Digits of the time, digits of the purposes."""
    match = STATE.fullmatch(state)
    if match is None:
        raise ValueError(f"{state[:40]!r} is not an encoded consent state")
    return match[1], match[2]

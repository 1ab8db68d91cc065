"""Values as sources write them, read strictly: text, whole numbers, money, times. What cannot be read is `Unfit`."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from contracts.clock import from_micros, to_rfc3339

ABSENT = frozenset({"", "(not set)", "(not provided)", "null", "undefined"})
"""Texts with which trackers say that there is nothing."""
CENT = Decimal("0.01")
ROUNDING_ERROR = Decimal("1e-12")
"""Relative; what sums and products of doubles leave behind, a thousand times below a cent of any price."""
MAX_BITS = 128
WHOLE = re.compile(r"-?[0-9]{1,19}")
AMOUNT = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,20})?")
UNREADABLE_TIME = "unreadable time"


class Unfit(ValueError):  # noqa: N818 (not an error of ours: a record that is no event, with its reason)
    """A record that is no event of the contract; its text is the reason."""


def inner(row: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The object at `keys`; an empty one where there is none."""
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def objects(value: object, name: str) -> list[Mapping[str, Any]]:
    """A list of objects; none where it is absent.

    Raises:
        Unfit: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise Unfit(f"{name} is not a list of objects")
    return value


def text(value: object) -> str | None:
    """A text or a whole number as text; None where the source says that there is nothing."""
    if isinstance(value, str):
        trimmed = value.strip()
        return None if trimmed.lower() in ABSENT else trimmed
    number = _whole(value)
    return None if number is None else str(number)


def whole(value: object, name: str) -> int | None:
    """A whole number, also one written as text (BigQuery exports 64-bit integers so) or as `2.0`.

    Raises:
        Unfit: it is something else.
    """
    if value is None or (isinstance(value, str) and text(value) is None):
        return None
    number = int(value) if isinstance(value, str) and WHOLE.fullmatch(value.strip()) else _whole(value)
    if number is None:
        raise Unfit(f"{name} is no whole number")
    return number


def price(value: object, name: str = "price") -> str | None:
    """An amount with two decimal places, as the wire has it; None where there is none.

    A source's double stands for cents only if it says them: the literal has at most two places, or it is what
    single precision (12.989999771118164) or the arithmetic of doubles (0.30000000000000004) makes of such a number.

    Raises:
        Unfit: it is no number, or has more than two decimal places.
    """
    if value is None or (isinstance(value, str) and text(value) is None):
        return None
    try:
        amount = _amount(value)
        cents = amount.quantize(CENT, ROUND_HALF_EVEN)
    except InvalidOperation:
        raise Unfit(f"{name} is no amount of money") from None
    if cents != amount and not _stands_for(amount, cents):
        raise Unfit(f"{name} has more than two decimal places")
    return str(cents)


def moment(value: object) -> str:
    """RFC 3339 of an ISO time or of `2024-05-01 10:00:00.123 UTC`; without a zone it is UTC.

    Raises:
        Unfit: it is no time.
    """
    if not isinstance(value, str):
        raise Unfit(UNREADABLE_TIME)
    try:
        read = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        return to_rfc3339(read if read.tzinfo else read.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Unfit(UNREADABLE_TIME) from None


def moment_of_micros(value: object) -> str:
    """RFC 3339 of microseconds since the epoch.

    Raises:
        Unfit: it is no time.
    """
    micros = whole(value, "time")
    if micros is None or micros < 0:
        raise Unfit(UNREADABLE_TIME)
    try:
        return to_rfc3339(from_micros(micros))
    except OverflowError:
        raise Unfit(UNREADABLE_TIME) from None


def known(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_BITS else None
    if isinstance(value, Decimal) and abs(value.adjusted()) < 20 and value == value.to_integral_value():
        return int(value)
    return None


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise InvalidOperation
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise InvalidOperation
    if isinstance(value, str) and not AMOUNT.fullmatch(value.strip()):
        raise InvalidOperation
    amount = Decimal(value)
    if not amount.is_finite():
        raise InvalidOperation
    return amount


def _stands_for(amount: Decimal, cents: Decimal) -> bool:
    """Whether `amount` is `cents` after single precision, or after sums of doubles."""
    if abs(amount - cents) <= abs(cents) * ROUNDING_ERROR:
        return True
    try:
        (single,) = struct.unpack("f", struct.pack("f", float(cents)))
    except OverflowError:
        return False
    return bool(single == float(amount))

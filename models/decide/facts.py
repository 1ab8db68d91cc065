"""What the query tower reads of a shopper beside items and words: numbers of the request, the visit and the person.

Amounts are log(1 + x) / 4, shares lie within 0 … 2, names are hashed to a place; what is not known is 0. Training and serving
call the same function on the same stored and derived features.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Columns = Mapping[str, Sequence[Any]]

CYCLES = {"request_hour": 24, "request_weekday": 7}
PLACES = {"request_device": 4, "request_channel": 8, "request_country": 16}
STAGES = ("browsing", "comparing", "deciding", "buying")
STAGE = "session_stage"
SESSION_AMOUNTS = (
    "session_events",
    "session_carts",
    "session_cart_minor",
    "session_price_mean_minor",
    "session_price_min_minor",
    "session_price_max_minor",
    "session_recency_seconds",
    "session_pace",
    "session_dwell_ms",
)
SESSION_SHARES = ("session_top_category_share",)
USER_AMOUNTS = (
    "user_purchases_90d_now",
    "user_carts_90d",
    "user_views_90d",
    "user_sessions_30d",
    "user_spend_minor_90d",
    "user_order_mean_minor",
    "user_price_level_minor",
    "user_days_since_purchase",
    "user_tenure_days",
)
USER_SHARES = (
    "user_return_rate",
    "user_price_sensitivity",
    "user_category_affinity",
    "user_brand_affinity",
    "user_email_open_rate",
)
REQUEST_NAMES = (*CYCLES, *PLACES)
SESSION_KNOWN, USER_KNOWN = "session_events", "user_carts_90d"
NUMBERS = (*CYCLES, *SESSION_AMOUNTS, *SESSION_SHARES, *USER_AMOUNTS, *USER_SHARES)
AT = {name: row for row, name in enumerate(NUMBERS)}
LENGTHS = np.array(list(CYCLES.values()), np.float64)[:, None]
NAMES = (*NUMBERS, *PLACES, STAGE)
OF_REQUEST = slice(0, 2 * len(CYCLES) + sum(PLACES.values()))
OF_SESSION = slice(
    OF_REQUEST.stop, OF_REQUEST.stop + 1 + len(SESSION_AMOUNTS) + len(SESSION_SHARES) + len(STAGES)
)
OF_USER = slice(OF_SESSION.stop, OF_SESSION.stop + 1 + len(USER_AMOUNTS) + len(USER_SHARES))
FACTS = OF_USER.stop


def facts(columns: Columns, count: int) -> Floats:
    """float32[count, FACTS] of `count` values a feature; a feature that is missing is not known of anybody.

    Raises:
        ValueError: a value is no number; TypeError likewise.
    """
    nothing = [None] * count
    given = np.array([columns.get(name) or nothing for name in NUMBERS], np.float64).reshape(
        len(NUMBERS), count
    )
    known = np.isfinite(given)
    numbers = np.where(known, given, 0)
    angles = 2 * np.pi * numbers[: len(CYCLES)] / LENGTHS
    clock = np.stack([np.sin(angles), np.cos(angles)], axis=1) * known[: len(CYCLES), None]
    amounts = np.log1p(np.maximum(numbers, 0)) / 4
    shares = np.clip(numbers, 0, 2)
    places = [_places(columns.get(name) or nothing, size) for name, size in PLACES.items()]
    stages = np.array([[value == stage for value in columns.get(STAGE) or nothing] for stage in STAGES])
    parts = [
        clock.reshape(2 * len(CYCLES), count),
        *places,
        known[AT[SESSION_KNOWN], None],
        amounts[_rows(SESSION_AMOUNTS)],
        shares[_rows(SESSION_SHARES)],
        stages.reshape(len(STAGES), count),
        known[AT[USER_KNOWN], None],
        amounts[_rows(USER_AMOUNTS)],
        shares[_rows(USER_SHARES)],
    ]
    found: Floats = np.concatenate(parts).T.astype(np.float32)
    return found


def facts_of(features: Mapping[str, Any]) -> Floats:
    """float32[FACTS] of one shopper at one moment."""
    found: Floats = facts({name: [features.get(name)] for name in NAMES}, 1)[0]
    return found


def without(given: Floats, *parts: slice) -> Floats:
    """The same rows [n, FACTS] as if those parts were not known."""
    found = given.copy()
    for part in parts:
        found[:, part] = 0
    return found


def _rows(names: Sequence[str]) -> slice:
    """Where features that follow each other stand in `NUMBERS`."""
    return slice(AT[names[0]], AT[names[0]] + len(names))


def _places(values: Sequence[str | None], size: int) -> npt.NDArray[np.float64]:
    """[size, n]: 1 at the name's place."""
    found = np.zeros((size, len(values)))
    for n, value in enumerate(values):
        if value is not None:
            found[_place(value, size), n] = 1
    return found


@lru_cache(maxsize=4096)
def _place(name: str, size: int) -> int:
    return zlib.crc32(name.encode()) % size

"""A user of a cut as the decision library takes them: what the user row says, as of the moment at which the cut is published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.clock import to_micros
from contracts.features import USER, Request, derive
from models.decide.facts import REQUEST_NAMES
from models.decide.query import met_before
from models.decide.shopper import Shopper

SAID = (
    "shopper_muted_items",
    "shopper_muted_categories",
    "shopper_less_items",
    "shopper_last_orders",
    "shopper_last_lists",
)
"""What the stream's row adds: the shopper's own say, and what was bought and shown."""
COLUMNS = ("user_id", *(feature.name for feature in USER.features))


def shopper_of(row: Mapping[str, Any], at: datetime) -> Shopper:
    """Of `COLUMNS` of `gold_user_features`, and of `SAID` where it is joined; there is no request, so none of its facts. Consent is the caller's to see to."""
    known = {**row, **derive(row, Request(to_micros(at)))}
    return Shopper(
        user_items=met_before(row["user_last_items"], row["user_top_items_90d"]),
        earlier_searches=row["user_last_searches_90d"] or (),
        features={name: value for name, value in known.items() if name not in REQUEST_NAMES},
        orders=[*(row.get("shopper_last_orders") or ()), *(row["user_last_orders_90d"] or ())],
        lists=row.get("shopper_last_lists") or (),
        muted_items=row.get("shopper_muted_items") or (),
        muted_categories=row.get("shopper_muted_categories") or (),
        less_items=row.get("shopper_less_items") or (),
        consent_granted=True,
    )

"""Valid wire records for the tests of the contracts: a test changes what it is about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest


def wire_event(**changes: Any) -> dict[str, Any]:
    """An `add_to_cart` of two pieces at 2.55, with every field of the contract set."""
    return {
        "event_id": "e1",
        "event_name": "add_to_cart",
        "schema_version": "1",
        "event_time": "2011-09-02T08:15:00.250000Z",
        "received_time": "2011-09-02T10:15:01+02:00",
        "visitor_id": "v1",
        "user_id": "u1",
        "session_id": "s1",
        "platform": "web",
        "consent": {
            "analytics": "granted",
            "personalization": "granted",
            "ads": "unknown",
            "email": "denied",
            "push": "granted",
            "changed_at": "2011-09-01T00:00:00Z",
            "policy_version": "3",
        },
        "page_view_id": "p1",
        "attribution_token": "t1",
        "context": {
            "device": "mobile",
            "channel": "mail",
            "country": "EIRE",
            "locale": "en-IE",
            "campaign": "autumn",
        },
        "search_term": "mug",
        "engagement_ms": 1200,
        "scroll_depth": 100,
        "preference": {"action": "mute", "scope": "item", "value": "85123A"},
        "items": [
            {
                "item_id": "85123A",
                "price": "2.55",
                "currency": "GBP",
                "quantity": 2,
                "index": 0,
                "item_list_id": "l",
                "item_category": "Home > Living > Candles",
                "item_brand": "Alder & Co",
            },
        ],
        **changes,
    }


def wire_update(**changes: Any) -> dict[str, Any]:
    """A catalog update with every field of the contract set."""
    return {
        "item_id": "85123A",
        "title": "WHITE HANGING HEART T-LIGHT HOLDER",
        "description": "Holds a light",
        "category": "Home > Living > Candles",
        "brand": "Alder & Co",
        "price": "2.55",
        "currency": "GBP",
        "availability": "in_stock",
        "available_quantity": 12,
        "margin": "-0.10",
        "ships_in_days": 2,
        "campaign": "autumn",
        "effective_time": "2011-09-02T00:00:00Z",
        **changes,
    }


@pytest.fixture(scope="session")
def wire() -> SimpleNamespace:
    """`wire.event(**changes)` and `wire.update(**changes)`."""
    return SimpleNamespace(event=wire_event, update=wire_update)

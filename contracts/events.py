"""Events, declared once: GA4's e-commerce names on the wire, one flat form for both strands.

`read_event` is the one validator: the gateway, `/v1/events` and the adapters call it. It returns the flat
form, or every violation. The JSON Schema, the Spark schema and the Flink DDL derive from `EVENT_FIELDS` and
`ITEM_FIELDS` (see `contracts.columns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.fields import MAX_INTEGER, Field, Kind, Violation, look_up, read_field

SCHEMA_VERSION = "1"
NAMES = (
    "page_view",
    "view_item_list",
    "select_item",
    "view_item",
    "search",
    "add_to_cart",
    "remove_from_cart",
    "view_cart",
    "add_to_wishlist",
    "begin_checkout",
    "purchase",
    "refund",
    "login",
    "logout",
    "consent_update",
    "preference_set",
    "email_sent",
    "email_open",
    "email_click",
    "push_sent",
    "push_open",
)
NAMES_WITH_ITEMS = frozenset(
    {
        "view_item_list",
        "select_item",
        "view_item",
        "add_to_cart",
        "remove_from_cart",
        "add_to_wishlist",
        "purchase",
        "refund",
    }
)
PREFERENCE_ACTIONS = ("mute", "unmute", "less", "reset")
"""See no more, see again, less like this, and forget all that was said of the scope (whatever `value` is)."""
PREFERENCE_SCOPES = ("item", "category")
PURPOSES = ("analytics", "personalization", "ads", "email", "push")
CONSENT_STATES = ("granted", "denied", "unknown")
MAX_ITEMS = 1000
FUTURE_TOLERANCE_MICROS = 5 * 60 * 1_000_000


def _consent(purpose: str) -> Field:
    return Field(
        f"consent_{purpose}",
        Kind.STRING,
        f"Whether {purpose} is allowed",
        ("consent", purpose),
        required=True,
        choices=CONSENT_STATES,
    )


def _preference(part: str, doc: str, choices: tuple[str, ...] = (), max_length: int = 16) -> Field:
    """Of `preference_set`; a shop that only says that something was set leaves all three out."""
    name, path = f"preference_{part}", ("preference", part)
    return Field(name, Kind.STRING, doc, path, choices=choices, max_length=max_length)


ITEM_FIELDS = (
    Field("item_id", Kind.STRING, "The shop's item", required=True, max_length=64),
    Field("price_minor", Kind.MONEY, "Price of one piece, minor units", ("price",), minimum=0),
    Field("currency", Kind.STRING, "ISO 4217", max_length=3),
    Field("quantity", Kind.INTEGER, "Pieces", minimum=1, maximum=10_000_000),
    Field("index", Kind.INTEGER, "Place in the list", minimum=0),
    Field("item_list_id", Kind.STRING, "The list it was shown in", max_length=64),
    Field("category", Kind.STRING, "Path, as the catalog's", ("item_category",), max_length=500),
    Field("brand", Kind.STRING, "Brand, as the catalog's", ("item_brand",), max_length=200),
)
EVENT_FIELDS = (
    Field("event_id", Kind.STRING, "The dedup key", required=True, max_length=128),
    Field("event_name", Kind.STRING, "What happened, in GA4's names", required=True, choices=NAMES),
    Field("schema_version", Kind.STRING, "Of this contract", required=True, choices=(SCHEMA_VERSION,)),
    Field("event_time", Kind.TIME, "When it happened, UTC", required=True, minimum=0),
    Field("received_time", Kind.TIME, "When the shop's edge received it, UTC", required=True, minimum=0),
    Field("visitor_id", Kind.STRING, "The device", required=True, max_length=128),
    Field("user_id", Kind.STRING, "Pseudonymous, after login", max_length=128),
    Field("session_id", Kind.STRING, "The client's session", required=True, max_length=128),
    Field("platform", Kind.STRING, "web, app, server, store", required=True, max_length=32),
    *(_consent(purpose) for purpose in PURPOSES),
    Field(
        "consent_changed_at",
        Kind.TIME,
        "When the shopper last chose",
        ("consent", "changed_at"),
        required=True,
        minimum=0,
    ),
    Field(
        "consent_policy_version",
        Kind.STRING,
        "Of the notice shown",
        ("consent", "policy_version"),
        max_length=32,
    ),
    Field("page_view_id", Kind.STRING, "The page view it belongs to", max_length=128),
    Field("attribution_token", Kind.STRING, "Of the decision that led here", max_length=256),
    Field("context_device", Kind.STRING, "desktop, mobile, tablet", ("context", "device"), max_length=32),
    Field("context_channel", Kind.STRING, "How the visit began", ("context", "channel"), max_length=64),
    Field(
        "context_country", Kind.STRING, "Country as the shop names it", ("context", "country"), max_length=64
    ),
    Field("context_locale", Kind.STRING, "BCP 47", ("context", "locale"), max_length=35),
    Field("context_campaign", Kind.STRING, "Campaign that is shown", ("context", "campaign"), max_length=64),
    Field("search_term", Kind.STRING, "What was searched", max_length=256),
    Field("engagement_ms", Kind.INTEGER, "Time on the item", minimum=0),
    Field("scroll_depth", Kind.INTEGER, "Percent of the page", minimum=0, maximum=100),
    _preference("action", "What the shopper asked for", choices=PREFERENCE_ACTIONS, max_length=16),
    _preference("scope", "What `preference.value` names", choices=PREFERENCE_SCOPES, max_length=16),
    _preference(
        "value", "The item's id, or the category's path; of a reset anything, as `all`", max_length=500
    ),
)
OBJECTS = tuple(dict.fromkeys(field.wire_path[0] for field in EVENT_FIELDS if len(field.wire_path) > 1))
# Derived at the door, so that neither strand has to open `items` for what most features need.
LEAD_FIELDS = (
    Field("item_id", Kind.STRING, "The first item's id"),
    Field("category", Kind.STRING, "The first item's category path"),
    Field("brand", Kind.STRING, "The first item's brand"),
    Field("price_minor", Kind.INTEGER, "The first item's price of one piece, minor units"),
    Field("named_items", Kind.STRING, "Ids of its first 50 different items, one a line"),
    Field("item_count", Kind.INTEGER, "How many items the event names"),
    Field("pieces", Kind.INTEGER, "Sum of the quantities; an item without one is one piece"),
    Field("value_minor", Kind.INTEGER, "Sum of price × quantity over the items, minor units"),
)
MOST_NAMED = 50
LEAD_ITEM = ("item_id", "category", "brand", "price_minor")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`event` is the flat form of a valid record, else None; `violations` says all that is wrong."""

    event: dict[str, Any] | None
    violations: tuple[Violation, ...]


def read_event(record: object) -> Verdict:
    """Validate one wire record and flatten it; every violation is found, not only the first."""
    if not isinstance(record, Mapping):
        return Verdict(None, (Violation("", str(record)[:200], "a JSON object"),))
    found: list[Violation] = []
    flat: dict[str, Any] = {field.name: read_field(field, record, found) for field in EVENT_FIELDS}
    flat["items"] = _read_items(record, found)
    _check_together(record, flat, found)
    if found:
        return Verdict(None, tuple(found))
    flat |= lead_of(flat["items"])
    if flat["value_minor"] > MAX_INTEGER:
        return Verdict(None, (Violation("items", str(flat["value_minor"]), f"worth at most {MAX_INTEGER}"),))
    return Verdict(flat, ())


def lead_of(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `LEAD_FIELDS` of an event with these flat items."""
    first: Mapping[str, Any] = items[0] if items else {}
    named = dict.fromkeys(item["item_id"] for item in items)
    return {
        **{name: first.get(name) for name in LEAD_ITEM},
        "named_items": "\n".join(list(named)[:MOST_NAMED]) or None,
        "item_count": len(items),
        "pieces": sum(item["quantity"] or 1 for item in items),
        "value_minor": sum((item["price_minor"] or 0) * (item["quantity"] or 1) for item in items),
    }


def _read_items(record: Mapping[str, Any], found: list[Violation]) -> list[dict[str, Any]]:
    items = record.get("items")
    if items is None:
        return []
    if not isinstance(items, list) or len(items) > MAX_ITEMS:
        found.append(Violation("items", str(items)[:200], f"a list of at most {MAX_ITEMS} items"))
        return []
    return [_read_item(item, n, found) for n, item in enumerate(items)]


def _read_item(item: object, n: int, found: list[Violation]) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        found.append(Violation(f"items[{n}]", str(item)[:200], "a JSON object"))
        return {}
    return {field.name: read_field(field, item, found, f"items[{n}].") for field in ITEM_FIELDS}


def _check_together(record: Mapping[str, Any], flat: Mapping[str, Any], found: list[Violation]) -> None:
    """Rules over several fields. "Future" is measured against received_time, never against a clock."""
    for name in OBJECTS:
        if record.get(name) is not None and not isinstance(record[name], Mapping):
            found.append(Violation(name, str(record[name])[:200], "a JSON object"))
    if flat["event_name"] in NAMES_WITH_ITEMS and not flat["items"]:
        found.append(Violation("items", "[]", f"{flat['event_name']} names at least one item"))
    if flat["event_name"] == "search" and flat["search_term"] is None:
        found.append(Violation("search_term", "null", "search has a search_term"))
    if flat["event_name"] in ("login", "logout") and flat["user_id"] is None:
        found.append(Violation("user_id", "null", f"{flat['event_name']} has a user_id"))
    if len({item.get("currency") for item in flat["items"]} - {None}) > 1:
        found.append(Violation("items.currency", "", "one currency an event, for its value is one sum"))
    preference = [look_up(record, ("preference", part)) is not None for part in ("action", "scope", "value")]
    if any(preference) and not all(preference):
        found.append(Violation("preference", "null", "action, scope and value come together"))
    event_time, received_time = flat["event_time"], flat["received_time"]
    if event_time is not None and received_time is not None:
        if event_time > received_time + FUTURE_TOLERANCE_MICROS:
            found.append(Violation("event_time", str(event_time), "not after received_time"))
        changed_at = flat["consent_changed_at"]
        if changed_at is not None and changed_at > received_time + FUTURE_TOLERANCE_MICROS:
            found.append(Violation("consent.changed_at", str(changed_at), "not after received_time"))


def shopper_id(event: Mapping[str, Any]) -> str:
    """The key of the shopper and consent views: the user, else the visitor."""
    user = event.get("user_id")
    return f"user:{user}" if user else f"visitor:{event['visitor_id']}"


def consent_keys(event: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that a choice about consent counts under: the device's, and the user's who is logged in on it."""
    device, user = f"visitor:{event['visitor_id']}", event.get("user_id")
    return (device, f"user:{user}") if user else (device,)


CONSENT_KEYS_SQL = ("CONCAT('visitor:', visitor_id)", "CONCAT('user:', user_id)")
"""`consent_keys` over the flat columns, NULL without a user; Spark and Flink both read it."""


def shopper_sql() -> str:
    """`shopper_id` over the flat columns, in SQL that Spark and Flink both read."""
    return "CASE WHEN user_id IS NULL THEN CONCAT('visitor:', visitor_id) ELSE CONCAT('user:', user_id) END"

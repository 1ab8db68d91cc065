"""Segment's and RudderStack's calls: the e-commerce specification v2 as JSON lines, one call a line.

`track` calls with the specification's names, `page` and `screen`, and `identify` as a login. The event's time is the
call's `timestamp` (the sender's clock, corrected); where it is missing, the same correction is made here from
`originalTimestamp`, `sentAt` and `receivedAt`.

Source: https://www.twilio.com/docs/segment/connections/spec/ecommerce/v2 (events), …/spec/common (fields),
https://www.rudderstack.com/docs/event-spec/standard-events/common-fields/ (`context.sessionId`),
https://www.twilio.com/docs/segment/privacy/consent-management (`context.consent`), and RudderStack's
https://www.rudderstack.com/docs/data-governance/consent-management/passing-consent/ (`context.consentManagement`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from contracts.adapters.pieces import Piece, Row, day_of, identity_of, json_pieces, not_read, update_of
from contracts.adapters.trails import said
from contracts.adapters.values import Unfit, inner, known, moment, objects, price, text, whole
from contracts.adapters.wire import Record, WireDay
from contracts.clock import to_rfc3339
from contracts.events import SCHEMA_VERSION

TRACKED = {
    "products searched": "search",
    "product list viewed": "view_item_list",
    "product list filtered": "view_item_list",
    "product clicked": "select_item",
    "product viewed": "view_item",
    "product added": "add_to_cart",
    "product removed": "remove_from_cart",
    "cart viewed": "view_cart",
    "product added to wishlist": "add_to_wishlist",
    "wishlist product added to cart": "add_to_cart",
    "checkout started": "begin_checkout",
    "order completed": "purchase",
    "order refunded": "refund",
    "order cancelled": "refund",
    "signed in": "login",
    "signed out": "logout",
    "email delivered": "email_sent",
    "email opened": "email_open",
    "email link clicked": "email_click",
    "push notification received": "push_sent",
    "push notification tapped": "push_open",
    "segment consent preference": "consent_update",
    "segment consent preference updated": "consent_update",
}
CALLS = {"page": "page_view", "screen": "page_view", "identify": "login"}
PURPOSES_OF = {
    "analytics": "analytics",
    "performance": "analytics",
    "statistics": "analytics",
    "functional": "personalization",
    "preferences": "personalization",
    "personalization": "personalization",
    "advertising": "ads",
    "marketing": "ads",
    "targeting": "ads",
    "email": "email",
    "push": "push",
}
"""Usual names of consent categories; the shop chooses its own, and what is not named here says nothing to us."""
PLATFORMS = {"web": "web", "browser": "web", "mobile": "app", "server": "server"}


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The wire records of one day's calls."""
    return day_of(pieces(lines))


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """The piece of each call."""
    return json_pieces(lines, adapt_record)


def adapt_record(row: Row, line: int, original: str) -> Piece:
    """One event, and a catalog update for each product it names and prices.

    Raises:
        Unfit: it is no event of the contract.
    """
    name = _name(row)
    user = text(row.get("userId"))
    if name in ("login", "logout") and user is None:
        raise Unfit(f"{row.get('type')} without a userId")
    visitor = text(row.get("anonymousId")) or (f"user-{user}" if user else None)
    if visitor is None:
        raise Unfit("neither anonymousId nor userId")
    at, received = _times(row)
    properties, context = inner(row, "properties"), inner(row, "context")
    named = [(_item(product, properties), product) for product in _products(name, properties)]
    event: Record = {
        "event_id": text(row.get("messageId")) or identity_of(original),
        "event_name": name,
        "schema_version": SCHEMA_VERSION,
        "event_time": at,
        "received_time": received,
        "visitor_id": visitor,
        "user_id": user,
        "session_id": text(context.get("sessionId")),
        "platform": _platform(row, context),
        "consent": _consent(context),
        "context": _context(context),
        **known(search_term=text(properties.get("query")) if name == "search" else None),
        "items": [item for item, _ in named],
    }
    updates = [update for item, product in named for update in update_of(item, text(product.get("name")), at)]
    return Piece(line, original, [event], updates)


def _name(row: Row) -> str:
    kind = row.get("type")
    if kind == "track":
        event = row.get("event")
        name = TRACKED.get(event.strip().lower()) if isinstance(event, str) else None
        if name is None:
            raise Unfit(not_read("event", event))
        return name
    name = CALLS.get(kind) if isinstance(kind, str) else None
    if name is None:
        raise Unfit(not_read("type", kind))
    return name


def _times(row: Row) -> tuple[str, str]:
    """When it happened and when it was received, as `timestamp = receivedAt - (sentAt - originalTimestamp)`."""
    stamps = (row.get("receivedAt"), row.get("sentAt"), row.get("originalTimestamp"))
    if row.get("timestamp") is not None:
        at = moment(row["timestamp"])
    elif all(stamps):
        received, sent, original = (datetime.fromisoformat(moment(stamp)) for stamp in stamps)
        try:
            at = to_rfc3339(received - (sent - original))
        except OverflowError:
            raise Unfit("unreadable time") from None
    else:
        at = moment(row.get("originalTimestamp") or row.get("receivedAt"))
    return at, moment(row["receivedAt"]) if row.get("receivedAt") is not None else at


def _products(name: str, properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The list of products, or the one product that the properties themselves are."""
    if properties.get("products") is not None:
        return objects(properties["products"], "products")
    single = properties.get("product_id") is not None or properties.get("sku") is not None
    return [properties] if single and name != "page_view" else []


def _item(product: Mapping[str, Any], properties: Mapping[str, Any]) -> Record:
    return known(
        item_id=text(product.get("product_id")) or text(product.get("sku")),
        price=price(product.get("price")),
        currency=text(product.get("currency")) or text(properties.get("currency")),
        quantity=whole(product.get("quantity"), "quantity"),
        index=whole(product.get("position"), "position"),
        item_list_id=text(properties.get("list_id")),
        item_category=text(product.get("category")),
        item_brand=text(product.get("brand")),
    )


def _consent(context: Mapping[str, Any]) -> Record | None:
    """Segment's categories by name, else RudderStack's allowed and denied ids; the stricter of two that mean one."""
    choices: dict[str, bool] = {
        str(name): value
        for name, value in inner(context, "consent", "categoryPreferences").items()
        if isinstance(value, bool)
    }
    managed = inner(context, "consentManagement")
    for key, allowed in (("allowedConsentIds", True), ("deniedConsentIds", False)):
        ids = managed.get(key)
        choices |= {str(one): allowed for one in ids} if isinstance(ids, list) else {}
    purposes: dict[str, bool] = {}
    for name, allowed in choices.items():
        purpose = PURPOSES_OF.get(name.strip().lower())
        if purpose is not None:
            purposes[purpose] = allowed and purposes.get(purpose, True)
    states = {purpose: "granted" if allowed else "denied" for purpose, allowed in purposes.items()}
    return said(**states) if states else None


def _platform(row: Row, context: Mapping[str, Any]) -> str:
    channel = text(row.get("channel")) or text(context.get("channel")) or ""
    if channel.lower() in PLATFORMS:
        return PLATFORMS[channel.lower()]
    library = text(inner(context, "library").get("name")) or ""
    if row.get("type") == "screen" or library.endswith(("ios", "android", "swift", "kotlin")):
        return "app"
    return "web" if context.get("userAgent") or library.endswith(("analytics.js", ".js")) else "server"


def _context(context: Mapping[str, Any]) -> Record:
    return known(
        device=text(inner(context, "device").get("type")),
        channel=text(inner(context, "campaign").get("medium")),
        country=text(inner(context, "location").get("country")),
        locale=text(context.get("locale")),
    )

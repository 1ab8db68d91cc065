"""GA4's BigQuery export: a row of `events_YYYYMMDD` as a JSON line becomes one event.

64-bit integers are texts there (BigQuery's JSON export) and prices doubles: `values.price` says which are cents. A
row has no id of its own; the device, the time and the place in the batch of requests make one, and without the
batch's numbers the row itself. Session and device come from `ga_session_id` and `user_pseudo_id`; a cookieless ping
has neither and is refused.

Source: https://support.google.com/analytics/answer/7029846 (the export's schema),
https://developers.google.com/analytics/devguides/collection/ga4/reference/events (the events).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contracts.adapters.pieces import Piece, Row, day_of, identity_of, json_pieces, not_read, update_of
from contracts.adapters.trails import said
from contracts.adapters.values import Unfit, inner, known, moment_of_micros, objects, price, text, whole
from contracts.adapters.wire import Record, WireDay
from contracts.events import NAMES, NAMES_WITH_ITEMS, SCHEMA_VERSION

OTHER_NAMES = {
    "view_search_results": "search",
    "screen_view": "page_view",
    "notification_receive": "push_sent",
    "notification_open": "push_open",
}
"""GA4's and Firebase's own names that differ from ours; the others are the same."""
PLATFORMS = {"WEB": "web", "IOS": "app", "ANDROID": "app"}
CHOICES = {"Yes": "granted", "No": "denied"}
BATCH = ("batch_page_id", "batch_ordering_id", "batch_event_index")
CATEGORIES = ("item_category", *(f"item_category{n}" for n in range(2, 6)))


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The wire records of one day's rows."""
    return day_of(pieces(lines))


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """The piece of each row."""
    return json_pieces(lines, adapt_record)


def adapt_record(row: Row, line: int, original: str) -> Piece:
    """One event, and a catalog update for each item it names and prices.

    Raises:
        Unfit: it is no event of the contract.
    """
    name = row.get("event_name")
    ours = OTHER_NAMES.get(name, name) if isinstance(name, str) else None
    if ours not in NAMES:
        raise Unfit(not_read("event_name", name))
    visitor = text(row.get("user_pseudo_id"))
    if visitor is None:
        raise Unfit("no user_pseudo_id: a cookieless ping")
    params = _params(row)
    at = moment_of_micros(row.get("event_timestamp"))
    named = [(_item(item, params), item) for item in objects(row.get("items"), "items")]
    items = [item for item, _ in named]
    event: Record = {
        "event_id": _identity(row, params, visitor, original),
        "event_name": ours,
        "schema_version": SCHEMA_VERSION,
        "event_time": at,
        "received_time": at,
        "visitor_id": visitor,
        "user_id": text(row.get("user_id")),
        "session_id": text(params.get("ga_session_id")),
        "platform": PLATFORMS.get(str(row.get("platform")), "web"),
        "consent": _consent(row),
        "context": _context(row, params),
        **_details(ours, params),
        "items": items,
    }
    updates = [
        update for item, their in named for update in update_of(item, text(their.get("item_name")), at)
    ]
    return Piece(line, original, [event], updates)


def _params(row: Row) -> dict[str, Any]:
    """The event's parameters by key, whichever type they were sent with."""
    found: dict[str, Any] = {}
    for param in objects(row.get("event_params"), "event_params"):
        values = (value for value in inner(param, "value").values() if value is not None)
        found[str(param.get("key"))] = next(values, None)
    return found


def _identity(row: Row, params: Mapping[str, Any], visitor: str, original: str) -> str:
    batch = [text(row.get(name)) or text(params.get(name)) or "" for name in BATCH]
    if not any(batch):
        return identity_of(original)
    return identity_of(visitor, str(row.get("event_timestamp")), str(row.get("event_name")), *batch)


def _item(item: Mapping[str, Any], params: Mapping[str, Any]) -> Record:
    categories = [part for name in CATEGORIES if (part := text(item.get(name)))]
    return known(
        item_id=text(item.get("item_id")),
        price=price(item.get("price"), "items.price"),
        currency=text(params.get("currency")),
        quantity=whole(item.get("quantity"), "items.quantity"),
        index=whole(item.get("item_list_index"), "items.item_list_index"),
        item_list_id=text(item.get("item_list_id")) or text(params.get("item_list_id")),
        item_category=" > ".join(categories) or None,
        item_brand=text(item.get("item_brand")),
    )


def _consent(row: Row) -> Record | None:
    """Consent mode's storage: the export says nothing of personalization, e-mail and push."""
    stored = inner(row, "privacy_info")
    analytics, ads = (CHOICES.get(str(stored.get(f"{what}_storage"))) for what in ("analytics", "ads"))
    return said(**known(analytics=analytics, ads=ads)) if analytics or ads else None


def _context(row: Row, params: Mapping[str, Any]) -> Record:
    """`traffic_source` is the user's first visit, not this one's: the channel is what this visit was tagged with."""
    last_click = inner(row, "session_traffic_source_last_click", "manual_campaign").get("medium")
    tagged = inner(row, "collected_traffic_source").get("manual_medium")
    return known(
        device=text(inner(row, "device").get("category")),
        channel=text(tagged) or text(params.get("medium")) or text(last_click),
        country=text(inner(row, "geo").get("country")),
        locale=text(inner(row, "device").get("language")),
    )


def _details(name: str, params: Mapping[str, Any]) -> Record:
    viewed = name in NAMES_WITH_ITEMS or name == "page_view"
    return known(
        search_term=text(params.get("search_term")) if name == "search" else None,
        engagement_ms=whole(params.get("engagement_time_msec"), "engagement_time_msec") if viewed else None,
    )

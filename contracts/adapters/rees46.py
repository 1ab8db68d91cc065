"""REES46's multi-category store: views, carts and purchases with sessions, a line an event.

Each day is adapted from its own file alone; a product has one catalog update a day, from its first event on.

Source: REES46, "eCommerce behavior data from multi category store", https://rees46.com/en/datasets
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from contracts.adapters.made_up import drawn_consent
from contracts.adapters.pieces import Memory, Piece, refusal
from contracts.adapters.wire import DUPLICATE, PRICE, Record, Refused, WireDay, by_time, rows_of
from contracts.clock import to_rfc3339
from contracts.events import SCHEMA_VERSION

COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
CONSENT_CHANGED_AT = "2019-10-01T00:00:00.000000Z"
CURRENCY = "USD"
NAMES = {"view": "view_item", "cart": "add_to_cart", "purchase": "purchase"}


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The wire records of one day's file, given as text lines with the header."""
    refused: list[Refused] = []
    events: list[Record] = []
    updates: dict[str, Record] = {}
    for piece in pieces(lines, set()):
        refused += piece.refused
        events += piece.events
        for update in piece.catalog:
            updates.setdefault(update["item_id"], update)
    return WireDay(by_time(events, "event_time"), by_time(list(updates.values()), "effective_time"), refused)


def pieces(lines: Iterable[str], seen: Memory) -> Iterator[Piece]:
    """The event and the product's state of each line; `seen` remembers lines, so that a repeated one is refused.

    Raises:
        SourceError: the header is not `COLUMNS`.
    """
    ragged: list[Refused] = []
    for number, values, text in rows_of(lines, COLUMNS, ragged):
        if ragged:
            yield Piece(number, text, refused=ragged[:])
            ragged.clear()
        row = dict(zip(COLUMNS, values, strict=True))
        reason = DUPLICATE if text in seen else _unfit(row)
        seen.add(text)
        if reason:
            yield refusal(number, reason, text)
            continue
        event = _event(number, row)
        yield Piece(number, text, [event], [_update(row, event["event_time"])])
    yield Piece(0, "", refused=ragged)


def _unfit(row: dict[str, str]) -> str | None:
    """Why a row is no event; None where it is one."""
    if row["event_type"] not in NAMES:
        return "event_type not one of " + ", ".join(NAMES)
    for column in ("product_id", "user_id", "user_session"):
        if not row[column]:
            return f"no {column}"
    try:
        _moment(row["event_time"])
        price = Decimal(row["price"])
    except (ValueError, InvalidOperation):
        return "unreadable time or price"
    return None if price.is_finite() and price > 0 else PRICE


def _moment(text: str) -> str:
    """`2019-10-01 00:00:00 UTC` as RFC 3339."""
    return to_rfc3339(datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC))


def _event(number: int, row: dict[str, str]) -> Record:
    moment = _moment(row["event_time"])
    user = f"u{row['user_id']}"
    return {
        # The line's number in fixed width: events of one second keep their order in the file.
        "event_id": f"{row['user_session']}-{number:09d}",
        "event_name": NAMES[row["event_type"]],
        "schema_version": SCHEMA_VERSION,
        "event_time": moment,
        "received_time": moment,
        "visitor_id": f"v-{user}",
        "user_id": user,
        "session_id": row["user_session"],
        "platform": "web",
        "consent": drawn_consent(user, CONSENT_CHANGED_AT),
        "items": [_item(row)],
    }


def _item(row: dict[str, str]) -> Record:
    """The product, with its category and brand where the source has them."""
    item = {"item_id": row["product_id"], "price": row["price"], "currency": CURRENCY, "quantity": 1}
    known = {"item_category": _category(row), "item_brand": row["brand"] or None}
    return item | {name: value for name, value in known.items() if value is not None}


def _category(row: dict[str, str]) -> str | None:
    """`appliances.kitchen` as a path."""
    return row["category_code"].replace(".", " > ") or None


def _update(row: dict[str, str], effective: str) -> Record:
    kind = row["category_code"].rpartition(".")[2].replace("_", " ")
    return {
        "item_id": row["product_id"],
        "title": " ".join(part for part in (row["brand"], kind, row["product_id"]) if part),
        "category": _category(row),
        "brand": row["brand"] or None,
        "price": row["price"],
        "currency": CURRENCY,
        "availability": "in_stock",
        "effective_time": effective,
    }

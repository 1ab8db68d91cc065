"""UCI Online Retail: invoice lines become sessions of `add_to_cart` that end in a `purchase`.

An invoice is a session; its lines are `add_to_cart` in file order, then the invoice is one `purchase`; an
invoice whose number begins with C is one `refund`. With a CustomerID there is a user and a device of that
user; without, only a device of that invoice. Each day is adapted from its own file alone, so that a day can
be repeated: an item sold on a day has one catalog update then, with the title and the most frequent price of
the day (wholesale prices differ by invoice; the events keep their line's own price).

Source: Chen, Sain, Guo 2012, doi:10.1057/dbm.2012.17; https://archive.ics.uci.edu/dataset/352/online+retail
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from contracts.adapters.made_up import drawn_consent, spread
from contracts.adapters.wire import DUPLICATE, PRICE, Record, Refused, WireDay, by_time, rows_of
from contracts.clock import from_micros, to_micros, to_rfc3339
from contracts.events import SCHEMA_VERSION

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
CONSENT_CHANGED_AT = "2010-12-01T00:00:00.000000Z"
CURRENCY = "GBP"
NOT_AN_ITEM = "not an item"
NOT_ITEMS = {
    "POST": "postage",
    "DOT": "postage of the web shop",
    "C2": "carriage",
    "C3": "carriage",
    "M": "manual entry",
    "D": "discount",
    "S": "samples",
    "B": "bad debt",
    "BANK CHARGES": "fee",
    "AMAZONFEE": "fee",
    "CRUK": "charity's commission",
    "PADS": "free pads, 0.001 each",
    "ADJUST": "manual entry",
    "ADJUST2": "manual entry",
    "GIFT": "gift voucher",
}
NOT_ITEM_PREFIXES = ("GIFT_", "TEST")


@dataclass(frozen=True, slots=True)
class Line:
    """One good line: an item, a positive number of pieces, a positive price; `minute` is epoch µs."""

    number: int
    invoice: str
    item_id: str
    title: str
    quantity: int
    minute: int
    price: str
    customer: str
    country: str

    @property
    def is_refund(self) -> bool:
        return self.invoice.startswith("C")


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The wire records of one day's file, given as text lines with the header."""
    refused: list[Refused] = []
    invoices = _invoices(lines, refused)
    events: list[Record] = []
    for invoice in invoices.values():
        events += _refund(invoice) if invoice[0].is_refund else _session(invoice)
    sold = [line for invoice in invoices.values() for line in invoice if not line.is_refund]
    ordered = by_time(events, "event_time")
    return WireDay(ordered, _catalog(sold, ordered), refused)


def _invoices(lines: Iterable[str], refused: list[Refused]) -> dict[str, list[Line]]:
    """The good lines of each invoice, in file order; the others go to `refused`."""
    invoices: dict[str, list[Line]] = {}
    seen: set[str] = set()
    for number, values, text in rows_of(lines, COLUMNS, refused):
        try:
            reason = _unfit(values) or (DUPLICATE if text in seen else None)
            line = None if reason else _line(number, values)
        except (ValueError, InvalidOperation):
            reason, line = "unreadable quantity, time or price", None
        seen.add(text)
        if line is None:
            refused.append(Refused(number, reason or NOT_AN_ITEM, text))
        else:
            invoices.setdefault(line.invoice, []).append(line)
    return invoices


def _unfit(values: list[str]) -> str | None:
    """Why a line is no event of an item; None where it is one."""
    invoice, code, _, quantity, _, price, _, _ = values
    item_id = code.strip().upper()
    if item_id in NOT_ITEMS or item_id.startswith(NOT_ITEM_PREFIXES):
        return NOT_AN_ITEM
    if invoice.startswith("C"):
        if int(quantity) >= 0:
            return "quantity not below 0 in a refund"
    elif int(quantity) <= 0:
        return "quantity not above 0 outside a refund"
    return PRICE if Decimal(price) <= 0 else None


def _line(number: int, values: list[str]) -> Line:
    invoice, code, description, quantity, moment, price, customer, country = values
    minute = datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return Line(
        number=number,
        invoice=invoice,
        item_id=code.strip().upper(),
        title=" ".join(description.split()),
        quantity=abs(int(quantity)),
        minute=to_micros(minute),
        price=price,
        customer=customer.split(".")[0],
        country=country,
    )


def _session(invoice: list[Line]) -> list[Record]:
    """An `add_to_cart` a line, then the `purchase`."""
    times, closing = spread([line.minute for line in invoice])
    shared = _shared(invoice[0])
    added = [
        _event(shared, "add_to_cart", str(line.number), time, [line])
        for line, time in zip(invoice, times, strict=True)
    ]
    return [*added, _event(shared, "purchase", "purchase", closing, invoice)]


def _refund(invoice: list[Line]) -> list[Record]:
    """One `refund` of all lines, in the minute of the first."""
    return [_event(_shared(invoice[0]), "refund", "refund", invoice[0].minute, invoice)]


def _shared(line: Line) -> Record:
    """What every event of an invoice says."""
    user = f"c{line.customer}" if line.customer else None
    return {
        "schema_version": SCHEMA_VERSION,
        "visitor_id": f"v-{user or line.invoice}",
        "user_id": user,
        "session_id": line.invoice,
        "platform": "web",
        "consent": drawn_consent(user or line.invoice, CONSENT_CHANGED_AT),
        "context": {"country": line.country},
    }


def _event(shared: Record, name: str, part: str, time: int, lines: list[Line]) -> Record:
    moment = to_rfc3339(from_micros(time))
    return {
        "event_id": f"{shared['session_id']}-{part}",
        "event_name": name,
        "event_time": moment,
        "received_time": moment,
        **shared,
        "items": [_item(line) for line in lines],
    }


def _item(line: Line) -> Record:
    return {
        "item_id": line.item_id,
        "price": line.price,
        "currency": CURRENCY,
        "quantity": line.quantity,
    }


def _catalog(sold: list[Line], events: list[Record]) -> list[Record]:
    """One update per item sold, from its first event on; an item without a title that day has none."""
    prices: dict[str, Counter[str]] = {}
    titles: dict[str, str] = {}
    for line in sold:
        prices.setdefault(line.item_id, Counter())[line.price] += 1
        if line.title:
            titles.setdefault(line.item_id, line.title)
    first_added: dict[str, str] = {}
    for event in events:
        if event["event_name"] == "add_to_cart":
            first_added.setdefault(event["items"][0]["item_id"], event["event_time"])
    return [
        {
            "item_id": item_id,
            "title": titles[item_id],
            # Of equally frequent prices the first in the file: `max` keeps the first, dicts keep file order.
            "price": max(prices[item_id].items(), key=lambda pair: pair[1])[0],
            "currency": CURRENCY,
            "availability": "in_stock",
            "effective_time": effective,
        }
        for item_id, effective in first_added.items()
        if item_id in titles
    ]

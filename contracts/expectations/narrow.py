"""Rules of a part of the day that its whole does not show: orders, which are few and matter most, ids and titles.

An order in a hundred events may be wrong in every price and move no mean of the day.
"""

from __future__ import annotations

from contracts.events import PURPOSES
from contracts.expectations.rules import CATALOG, EVENTS, INGEST, Measure, Rule
from contracts.expectations.trends import LEAST_ROWS, beyond, change, factor, judged

LEAST_ORDERS = 20
MOST_USERS = 5
"""A device that more users log in on in a cut is no shopper's."""
PLACEHOLDERS = (
    "null",
    "none",
    "nil",
    "nan",
    "undefined",
    "unknown",
    "anonymous",
    "guest",
    "(not set)",
    "n/a",
)
ORDER = "event_name = 'purchase'"
MARKUP = "<[a-zA-Z/!]|&[a-zA-Z]+;|&#[0-9]+;|#(REF|N/A|NAME|VALUE|DIV/0)|^[0-9][.,][0-9]+E[+][0-9]+$"


def _average(what: str, among: str) -> str:
    return f"IF(COUNT_IF({ORDER}) >= {LEAST_ORDERS}, AVG({what}) FILTER (WHERE {ORDER} AND {among}), NULL)"


def _of_orders(name: str, what: str, among: str = "TRUE") -> Measure:
    """The mean of `what` over the day's orders; none of a handful."""
    return Measure(f"{EVENTS}.order.{name}", INGEST, EVENTS, _average(what, among))


def _placeholder(field: str) -> str:
    names = ", ".join(f"'{name}'" for name in PLACEHOLDERS)
    return f"{field} IS NOT NULL AND (lower({field}) IN ({names}) OR {field} RLIKE '^[0-]+$')"


_OFF = "price_minor > 5 * first_price_minor OR price_minor * 5 < first_price_minor"
_KNOWN = "price_minor IS NOT NULL AND first_price_minor IS NOT NULL"
_PRICED = "get(items, 0).currency IS NOT NULL AND first_currency IS NOT NULL"
UNKNOWN = tuple(f"{EVENTS}.unknown.{purpose}" for purpose in PURPOSES)
ORDER_LOGS = (f"{EVENTS}.order.log_price", f"{EVENTS}.order.log_value")

MEASURES = (
    _of_orders("log_price", "LN(1 + price_minor)", "price_minor IS NOT NULL"),
    _of_orders("log_value", "LN(1 + value_minor)"),
    _of_orders("price_off", f"IF({_OFF}, 1D, 0D)", _KNOWN),
    _of_orders("foreign_currency", "IF(get(items, 0).currency <> first_currency, 1D, 0D)", _PRICED),
    *(
        Measure(name, INGEST, EVENTS, f"AVG(IF(consent_{purpose} = 'unknown', 1D, 0D))")
        for name, purpose in zip(UNKNOWN, PURPOSES, strict=True)
    ),
    Measure(f"{CATALOG}.markup", INGEST, CATALOG, f"AVG(IF(title RLIKE '{MARKUP}', 1D, 0D))"),
)
RULES = (
    Rule("order_scale", INGEST, "No order's price or value is 3 times as large or small as usual, in the mean", EVENTS,
         "amount", number=judged(factor(*ORDER_LOGS)), allowed=3),
    Rule("order_price_off_change", INGEST, "Not a sixth more of the orders than usual has a price far off the item's first",
         EVENTS, "amount", number=judged(change(f"{EVENTS}.order.price_off")), allowed=0.17, minimum=-1),
    Rule("order_currency_change", INGEST, "Not a twentieth more of the orders than usual is in another currency", EVENTS,
         "currency", number=judged(change(f"{EVENTS}.order.foreign_currency")), allowed=0.05, minimum=-1),
    Rule("order_repeated_share", INGEST, "At most a tenth of the orders come again in their session under another id",
         EVENTS, "duplicates", "is_order_again", among=ORDER, share=True, least=LEAST_ORDERS, allowed=0.1),
    Rule("consent_unknown_beyond", INGEST, "No choice is unknown by a seventh more often than the days before can explain",
         EVENTS, "consent", number=judged(beyond(*UNKNOWN)), allowed=0.15, minimum=-1),
    Rule("user_placeholder_share", INGEST, "At most one user id of a hundred stands for none", EVENTS, "identity",
         _placeholder("user_id"), among="user_id IS NOT NULL", share=True, least=LEAST_ROWS, allowed=0.01),
    Rule("visitor_placeholder_share", INGEST, "At most one device id of a hundred stands for none", EVENTS, "identity",
         _placeholder("visitor_id"), share=True, least=LEAST_ROWS, allowed=0.01),
    Rule("shared_device_share", INGEST, f"At most a twentieth of the events come from devices of over {MOST_USERS} users",
         EVENTS, "identity", "is_shared", share=True, least=LEAST_ROWS, allowed=0.05),
    Rule("in_stock_beyond", INGEST, "No seventh more, or less, of the updates is in stock than the days before can explain",
         CATALOG, "catalog", number=judged(beyond(f"{CATALOG}.in_stock"), CATALOG), allowed=0.15, minimum=-1),
    Rule("title_markup_change", INGEST, "Not a twentieth more of the titles than usual holds markup or a sheet's error",
         CATALOG, "catalog", number=judged(change(f"{CATALOG}.markup"), CATALOG), allowed=0.05, minimum=-1),
)  # fmt: skip

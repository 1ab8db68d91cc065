"""REES46's adapter on hand-written lines in the exact form of the source."""

from __future__ import annotations

import pytest

from contracts.adapters.rees46 import COLUMNS, adapt_day
from contracts.adapters.wire import WireDay
from contracts.catalog import read_catalog
from contracts.events import read_event

SESSION = "11111111-2222-4333-8444-555555555555"
VIEW = f"2019-10-01 00:00:00 UTC,view,100,2053013552326770905,appliances.kitchen.water_heater,aqua,33.20,42,{SESSION}"
CART = f"2019-10-01 00:00:05 UTC,cart,100,2053013552326770905,appliances.kitchen.water_heater,aqua,33.20,42,{SESSION}"
BOUGHT = f"2019-10-01 00:01:00 UTC,purchase,100,2053013552326770905,appliances.kitchen.water_heater,aqua,33.20,42,{SESSION}"
PLAIN = f"2019-10-01 00:00:00 UTC,view,200,2103807459595387724,,,5.00,43,{SESSION[::-1]}"


def day(*lines: str) -> WireDay:
    return adapt_day([f"{line}\n" for line in (",".join(COLUMNS), *lines)])


def test_types_become_names_in_the_order_of_time() -> None:
    adapted = day(BOUGHT, VIEW, CART)
    assert [e["event_name"] for e in adapted.events] == ["view_item", "add_to_cart", "purchase"]
    view = adapted.events[0]
    assert view["event_time"] == view["received_time"] == "2019-10-01T00:00:00.000000Z"
    assert (view["visitor_id"], view["user_id"], view["session_id"]) == ("v-u42", "u42", SESSION)
    category = {"item_category": "appliances > kitchen > water_heater", "item_brand": "aqua"}
    assert view["items"] == [
        {"item_id": "100", "price": "33.20", "currency": "USD", "quantity": 1, **category}
    ]
    assert "item_category" not in day(PLAIN).events[0]["items"][0]
    assert all(read_event(event).event is not None for event in adapted.events)
    assert len({event["event_id"] for event in adapted.events}) == 3


def test_a_product_has_one_update_from_its_first_event_on() -> None:
    named, plain = sorted(day(VIEW, PLAIN, CART).catalog, key=lambda update: update["item_id"])
    assert named["category"] == "appliances > kitchen > water_heater"
    assert (named["title"], named["brand"], named["price"]) == ("aqua water heater 100", "aqua", "33.20")
    assert (plain["title"], plain["category"], plain["brand"]) == ("200", None, None)
    assert all(read_catalog(update).event is not None for update in (named, plain))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (VIEW.replace("33.20", "0.00"), "price not above 0"),
        (VIEW.replace("33.20", ""), "unreadable time or price"),
        (VIEW.replace(" UTC", ""), "unreadable time or price"),
        (VIEW.replace("view", "remove_from_cart"), "event_type not one of view, cart, purchase"),
        (VIEW.removesuffix(SESSION), "no user_session"),
        (VIEW.replace(",42,", ",,"), "no user_id"),
        (VIEW + ",1", "10 columns instead of 9"),
    ],
)
def test_bad_rows_are_refused(line: str, reason: str) -> None:
    adapted = day(line)
    assert [(one.line, one.reason) for one in adapted.refused] == [(2, reason)]
    assert (adapted.events, adapted.catalog) == ([], [])


def test_a_repeated_row_is_refused() -> None:
    assert [one.reason for one in day(VIEW, VIEW).refused] == ["exact duplicate"]

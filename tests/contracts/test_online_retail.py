"""Online Retail's adapter on quoted lines of the source (Chen, Sain, Guo 2012), each kind of dirt included."""

from __future__ import annotations

import pytest

from contracts.adapters.online_retail import COLUMNS, adapt_day
from contracts.adapters.wire import WireDay
from contracts.catalog import read_catalog
from contracts.errors import SourceError
from contracts.events import read_event

HEADER = ",".join(COLUMNS)
POSTAGE = "536370,POST,POSTAGE,3,2010-12-01 08:45:00,18.0,12583.0,France"
SIGN = '536381,82567,"AIRLINE LOUNGE,METAL SIGN",2,2010-12-01 09:41:00,2.1,15311.0,United Kingdom'
TEA_SET = "536381,22139,RETROSPOT TEA SET CERAMIC 11 PC ,23,2010-12-01 09:41:00,4.25,15311.0,United Kingdom"
DISCOUNT = "C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom"
NO_TITLE_NO_PRICE = "536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom"
WRITTEN_OFF = "536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom"
RETURNED = (
    "C564748,23155,KNICKERBOCKERGLORY MAGNET ASSORTED ,-6,2011-08-30 08:00:00,0.83,14911.0,EIRE",
    "C564748,23211,RED ROCKING HORSE HAND PAINTED,-24,2011-08-30 08:00:00,1.25,14911.0,EIRE",
)
# Hand-made in the source's form: the pieces that the quoted lines do not show.
ANONYMOUS = "536544,21773,DECORATIVE ROSE BATHROOM BOTTLE,1,2010-12-01 14:32:00,2.51,,United Kingdom"
LOWER_CASE = "536544,15056bl,EDWARDIAN PARASOL BLACK,1,2010-12-01 14:32:00,12.46,,United Kingdom"


def day(*lines: str) -> WireDay:
    return adapt_day([f"{line}\n" for line in (HEADER, *lines)])


def refused(adapted: WireDay) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in adapted.refused]


def test_an_invoice_is_a_session_that_ends_in_a_purchase() -> None:
    tea, sign, purchase = day(TEA_SET, SIGN).events
    assert [e["event_name"] for e in (tea, sign, purchase)] == ["add_to_cart", "add_to_cart", "purchase"]
    # Three slots of 20 s in the minute of 09:41.
    times = ["2010-12-01T09:41:00.000000Z", "2010-12-01T09:41:20.000000Z", "2010-12-01T09:41:40.000000Z"]
    assert [e["event_time"] for e in (tea, sign, purchase)] == times
    assert all(e["received_time"] == e["event_time"] for e in (tea, sign, purchase))
    assert (purchase["visitor_id"], purchase["user_id"], purchase["session_id"]) == (
        "v-c15311",
        "c15311",
        "536381",
    )
    assert sign["items"] == [{"item_id": "82567", "price": "2.1", "currency": "GBP", "quantity": 2}]
    assert purchase["items"] == tea["items"] + sign["items"]
    flat = read_event(purchase).event
    assert flat is not None
    assert flat["value_minor"] == 23 * 425 + 2 * 210
    assert len({e["event_id"] for e in (tea, sign, purchase)}) == 3


def test_a_cancellation_is_one_refund_of_positive_pieces() -> None:
    adapted = day(*RETURNED)
    (refund,) = adapted.events
    assert (refund["event_name"], refund["session_id"]) == ("refund", "C564748")
    assert refund["context"] == {"country": "EIRE"}
    assert [(item["item_id"], item["quantity"]) for item in refund["items"]] == [("23155", 6), ("23211", 24)]
    # What came back says nothing about what is on offer.
    assert adapted.catalog == []


def test_without_a_customer_there_is_only_a_device_of_the_invoice() -> None:
    added, _ = day(ANONYMOUS).events
    assert (added["visitor_id"], added["user_id"]) == ("v-536544", None)
    assert read_event(added).event is not None


def test_dirt_is_refused_with_its_reason_and_its_line() -> None:
    adapted = day(POSTAGE, TEA_SET, TEA_SET, DISCOUNT, NO_TITLE_NO_PRICE, WRITTEN_OFF)
    assert refused(adapted) == [
        (2, "not an item"),
        (4, "exact duplicate"),
        (5, "not an item"),
        (6, "price not above 0"),
        (7, "quantity not above 0 outside a refund"),
    ]
    assert adapted.refused[1].original == TEA_SET
    # The one good line and its purchase.
    assert [e["event_name"] for e in adapted.events] == ["add_to_cart", "purchase"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("536381,22139,TEA SET,x,2010-12-01 09:41:00,4.25,15311.0,UK", "unreadable quantity, time or price"),
        ("536381,22139,TEA SET,1,01/12/2010 09:41,4.25,15311.0,UK", "unreadable quantity, time or price"),
        ("536381,22139,TEA SET,1,2010-12-01 09:41:00,NaN,15311.0,UK", "unreadable quantity, time or price"),
        ("536381,22139,TEA SET,1", "4 columns instead of 8"),
        ("C536381,22139,TEA SET,1,2010-12-01 09:41:00,4.25,15311.0,UK", "quantity not below 0 in a refund"),
        ("536381,gift_0001_20,Voucher,1,2010-12-01 09:41:00,16.67,15311.0,UK", "not an item"),
        ("536381,m,Manual,1,2010-12-01 09:41:00,4.25,15311.0,UK", "not an item"),
    ],
)
def test_a_line_that_cannot_be_read_or_is_no_item(line: str, reason: str) -> None:
    assert refused(day(line)) == [(2, reason)]


def test_an_item_sold_has_one_update_with_the_days_usual_price() -> None:
    dearer = TEA_SET.replace("536381", "536382").replace("4.25", "8.5").replace("09:41", "09:50")
    again = dearer.replace("536382", "536383").replace("CERAMIC 11 PC ", "")
    adapted = day(TEA_SET, dearer, again)
    (update,) = adapted.catalog
    assert (update["price"], update["title"]) == ("8.5", "RETROSPOT TEA SET CERAMIC 11 PC")
    assert update["effective_time"] == "2010-12-01T09:41:00.000000Z"
    assert read_catalog(update).event is not None
    assert [e["items"][0]["price"] for e in adapted.events if e["event_name"] == "add_to_cart"] == [
        "4.25",
        "8.5",
        "8.5",
    ]


def test_an_item_without_a_title_has_no_update() -> None:
    assert day(TEA_SET.replace("RETROSPOT TEA SET CERAMIC 11 PC ", "")).catalog == []


def test_codes_are_read_in_upper_case() -> None:
    assert day(LOWER_CASE).events[0]["items"][0]["item_id"] == "15056BL"


def test_a_header_of_another_form_is_an_error() -> None:
    with pytest.raises(SourceError, match="InvoiceNo"):
        adapt_day(["Invoice,StockCode\n", TEA_SET])

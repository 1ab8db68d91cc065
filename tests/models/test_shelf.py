"""What an update puts on the shelf, and what an answer then holds."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.catalog import CatalogState
from contracts.clock import to_micros
from models.decide.decide import decide
from models.decide.shelf import Offer, Served, Shelf
from models.decide.shopper import Shopper
from tests.models.test_decide import ids, snapshot

NOW = datetime(2011, 8, 30, 10, tzinfo=UTC)
AT = to_micros(NOW)
"""The day after the snapshot's cut."""


def state(item: str, availability: str = "in_stock", price: int = 100, at: int = AT) -> CatalogState:
    return CatalogState(item, price, "EUR", availability, at)  # type: ignore[arg-type]


def test_an_update_changes_its_item_alone():
    shelf = Shelf.of(snapshot())
    assert shelf.put(state("b", "out_of_stock", 250))
    assert shelf.in_stock.tolist() == [True, False, True, True, True]
    assert shelf.price_minor.tolist() == [100, 250, 100, 100, 100]
    assert (shelf.offer(1), shelf.offer(0)) == (Offer(250, "EUR", AT), Offer(100, "GBP", 7))
    assert snapshot().in_stock.all()


def test_an_earlier_state_than_the_snapshots_and_of_who_it_does_not_know_change_nothing():
    shelf = Shelf.of(snapshot(), [state("b", "withdrawn", at=6), state("new")])
    assert shelf.in_stock.all()
    assert (shelf.price_minor == 100).all()
    # As the snapshot has it: the shelf is as long as what changed.
    same = CatalogState("b", 100, "GBP", "in_stock", 7)
    assert (shelf.put(same), shelf.offers) == (False, {})
    # Sent again, as it should have been.
    assert Shelf.of(snapshot(), [state("b", "withdrawn", at=7)]).in_stock.sum() == 4


def test_what_is_not_there_is_in_no_answer_and_what_is_back_is():
    served = Served.of(snapshot("popularity"), None)
    served.shelf.put(state("e", "withdrawn"))
    served.shelf.put(state("c", "out_of_stock"))
    assert ids(decide(served, Shopper(), "home", 5, NOW)) == ["d", "b", "a"]
    served.shelf.put(state("e"))
    assert ids(decide(served, Shopper(), "home", 5, NOW)) == ["e", "d", "b", "a"]

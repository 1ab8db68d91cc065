"""Cold start on the small lake, whose titles name the chain that an item is of."""

from __future__ import annotations

from contracts.settings import Settings
from models.catalog import read_catalog_at
from models.evaluation.baskets import at_session_start
from models.evaluation.cold import new_item_figures, newest
from models.evaluation.shop import Shop
from models.evaluation.shop_methods import OURS
from models.examples import read_examples, split
from tests.models.conftest import CUT


def test_less_is_known_and_new_items_are_found_by_their_titles(small: Settings):
    catalog = read_catalog_at(small, CUT)
    train, validation = split(read_examples(small, catalog.index, CUT), CUT, 7)
    less = newest(validation, 2)
    assert (less.kinds != 0).sum(axis=1).max() == 2
    assert (less.positions[:, :2] == validation.positions[:, :2]).all()
    assert (newest(validation, 0).positions == -1).all()

    shop = Shop(catalog, train, validation, at_session_start(validation))
    said: list[str] = []
    params = {"epochs": 12}
    found = new_item_figures(shop, OURS.fit(shop, params), params, said.append)
    assert found["items"] == 19  # a tenth of those that were ever taken
    assert found["chance_recall20"] < 0.1
    # An item of the chain that the shopper walks along, though no training row ever had it as the label.
    assert found["recall20"] > 3 * found["chance_recall20"]
    assert found["trained_recall20"] >= found["recall20"]

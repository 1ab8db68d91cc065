"""Cold start on the small lake, whose titles name the chain that an item is of."""

from __future__ import annotations

from contracts.settings import Settings
from models.catalog import read_catalog_at
from models.decide.facts import OF_REQUEST
from models.evaluation.baskets import at_session_start
from models.evaluation.cold import new_item_figures, newest, word_figures
from models.evaluation.shop import Shop
from models.examples import read_examples, split
from models.train import Fit
from models.training import fitted_towers, pipeline_of
from tests.models.conftest import CUT


def test_less_is_known_and_new_items_are_found_by_their_titles(small: Settings):
    catalog = read_catalog_at(small, CUT)
    train, validation = split(read_examples(small, catalog.index, CUT), CUT, 7)
    less = newest(validation, 2)
    assert (less.kinds != 0).sum(axis=1).max() == 2
    assert (less.positions[:, :2] == validation.positions[:, :2]).all()
    nobody = newest(validation, 0)
    assert (nobody.positions == -1).all()
    assert not nobody.words.any()
    assert not nobody.facts[:, OF_REQUEST.stop :].any()

    shop = Shop(catalog, train, validation, at_session_start(validation))
    said: list[str] = []
    fit = Fit(epochs=12)
    ours = pipeline_of(fitted_towers(catalog, train, fit)[0], train).score
    # Two words of "chain5 piece3" name an item; the shopper's one earlier item names the chain.
    words = word_figures(shop, ours, said.append)
    assert words["search"]["ours"] > 0.9 > words["search"]["popularity"] + 0.4
    assert words["interests"]["ours"] > words["interests"]["popularity"] + 0.2
    found = new_item_figures(shop, ours, fit, said.append)
    assert found["items"] == 19  # a tenth of those that were ever taken
    assert found["chance_recall20"] < 0.1
    # An item of the chain that the shopper walks along, though no training row ever had it as the label.
    assert found["recall20"] > 3 * found["chance_recall20"]
    assert found["trained_recall20"] >= found["recall20"]

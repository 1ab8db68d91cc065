"""Warm starts, and training by several processes, on the small lake."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.settings import Settings
from models import files
from models.catalog import Catalog, item_features, read_catalog_at
from models.errors import ModelsError
from models.evaluation.ranking import rank
from models.examples import Examples, read_examples, split
from models.towers import Shape, TwoTower
from models.train import IDS, Fit, Start, fit_two_tower, new_two_tower, query_of, resume, warm, weights_of
from models.training import fitted_towers
from tests.models.conftest import CUT

FIT = Fit(epochs=15)


@pytest.fixture(scope="module")
def rows(small: Settings) -> tuple[Catalog, Examples, Examples]:
    catalog = read_catalog_at(small, CUT)
    return catalog, *split(read_examples(small, catalog.index, CUT), CUT, 7)


def recall(model: TwoTower, rows: tuple[Catalog, Examples, Examples]) -> float:
    """Of the towers alone."""
    vectors = model.item_vectors().numpy()
    query = query_of(model, vectors)
    return float(rank(lambda cases: query(cases) @ vectors.T, rows[2]).recall(5).mean())


def test_a_warm_start_goes_on_from_yesterday(rows, tmp_path):
    catalog, train, _ = rows
    yesterday, known = fitted_towers(catalog, train.where(train.days < train.days.max()), FIT)
    (tmp_path / files.WEIGHTS).write_bytes(files.weights_file(weights_of(yesterday)))
    weights = files.read_weights(tmp_path)
    assert weights is not None
    warmed, _ = fitted_towers(catalog, train, FIT, Start(weights, known))
    cold = fit_two_tower(train, item_features(catalog, known), known, warm(FIT))
    assert recall(warmed, rows) > recall(yesterday, rows) - 0.03
    assert recall(warmed, rows) > recall(cold, rows) + 0.2  # one epoch from nothing


def test_an_item_keeps_its_vector_when_the_vocabulary_grows_and_a_new_one_begins_as_drawn(rows):
    catalog, train, _ = rows
    old = {"b": 1, "d": 2}
    before = weights_of(new_two_tower(train, item_features(catalog, old), 2, FIT))
    model = new_two_tower(train, item_features(catalog, {}), 4, FIT)
    drawn = weights_of(model)[IDS].copy()
    resume(model, Start(before, old), {"a": 1, "b": 2, "c": 3, "d": 4})
    ids = weights_of(model)[IDS]
    assert np.array_equal(ids[[0, 2, 4]], before[IDS])
    assert np.array_equal(ids[[1, 3]], drawn[[1, 3]])
    other = new_two_tower(train, item_features(catalog, {}), 4, Fit(shape=Shape(hidden=32)))
    with pytest.raises(ModelsError, match="train fully"):
        resume(other, Start(before, old), {"b": 1})


def test_two_processes_train_as_well_as_one(rows):
    catalog, train, _ = rows
    one, _ = fitted_towers(catalog, train, FIT)
    two, _ = fitted_towers(catalog, train, FIT, workers=2)
    assert not np.array_equal(weights_of(one)[IDS], weights_of(two)[IDS])
    assert abs(recall(one, rows) - recall(two, rows)) < 0.05
    assert recall(two, rows) > 0.5


def test_the_same_seed_gives_the_same_files(rows):
    catalog, train, _ = rows
    first, second = (fitted_towers(catalog, train, Fit(epochs=2))[0] for _ in range(2))
    for name, weight in weights_of(first).items():
        assert np.array_equal(weight, weights_of(second)[name]), name

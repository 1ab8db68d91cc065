"""Warm starts, and training by several processes, on the small lake."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from contracts.settings import Settings
from models import files
from models.catalog import Catalog, item_features, read_catalog_at
from models.decide.artifacts import SESSIONS
from models.errors import ModelsError
from models.evaluation.ranking import rank
from models.examples import Examples, read_examples, split
from models.registry import Champion
from models.towers import Shape, TwoTower
from models.train import (
    IDS,
    Fit,
    Start,
    fit_two_tower,
    new_two_tower,
    query_of,
    resume,
    warm,
    weights_of,
)
from models.training import How, fitted_towers, start_of, two_tower
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
    warmed, _ = fitted_towers(catalog, train, warm(FIT), Start(weights, known))
    cold = fit_two_tower(train, item_features(catalog, known), known, warm(FIT))
    assert recall(warmed, rows) > recall(yesterday, rows) - 0.03
    moved = np.abs(weights_of(warmed)[IDS] - weights_of(yesterday)[IDS]).max()
    assert 0 < moved < np.abs(weights_of(cold)[IDS] - weights_of(yesterday)[IDS]).max()
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


def test_a_warm_starts_proposal_is_that_of_the_days_it_learns_from(rows):
    catalog, train, _ = rows
    model, known = fitted_towers(catalog, train, Fit(epochs=1))
    start = Start(weights_of(model), known)
    old = replace(
        train, days=np.where(np.arange(len(train)) % 2, train.days - np.timedelta64(60, "D"), train.days)
    )
    warmed, _ = fitted_towers(catalog, old, warm(FIT), start)
    half = old.where(np.arange(len(old)) % 2 == 0)
    expected = np.bincount(half.labels, minlength=len(catalog.ids)) / len(half)
    assert warmed.share.numpy() == pytest.approx(expected)


def test_only_towers_that_serve_are_gone_on_from(tmp_path):
    (tmp_path / files.WEIGHTS).write_bytes(files.weights_file({IDS: np.zeros((2, 64), np.float32)}))
    (tmp_path / files.VOCABULARY).write_bytes(files.to_json({"a": 1}))
    monday, sunday = date(2011, 8, 29), date(2011, 8, 28)
    towers = Champion("two_tower", "two_tower-1", {"two_tower": tmp_path})
    refused = Champion("item_knn", "item_knn-2", {"two_tower": tmp_path, "item_knn": tmp_path})
    for start, cut_on, stands, goes_on in (
        ("weekly", monday, towers, True),
        ("weekly", sunday, towers, False),
        ("weekly", monday, refused, False),
        ("weekly", monday, None, False),
        ("warm", sunday, towers, True),
        ("full", monday, towers, False),
    ):
        assert (start_of(How(start=start), cut_on, stands) is not None) is goes_on
    with pytest.raises(ModelsError, match="train fully"):
        start_of(How(start="warm"), monday, refused)


def test_two_processes_train_as_well_as_one(rows):
    catalog, train, _ = rows
    one, _ = fitted_towers(catalog, train, FIT)
    two, _ = fitted_towers(catalog, train, FIT, workers=2)
    assert not np.array_equal(weights_of(one)[IDS], weights_of(two)[IDS])
    assert abs(recall(one, rows) - recall(two, rows)) < 0.05
    assert recall(two, rows) > 0.5


def test_the_same_seed_gives_the_same_files_and_another_others(rows):
    catalog, train, _ = rows
    first, second, other = (
        two_tower(catalog, train, Fit(epochs=1, seed=seed))[0].files for seed in (0, 0, 1)
    )
    assert first == second
    assert {name for name in first if first[name] == other[name]} == {
        files.VOCABULARY,
        files.LAYOUT_OF,
        files.BLEND,
        files.ITEMS,
        SESSIONS,
    }

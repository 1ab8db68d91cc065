"""Neighbours and the map of vectors made by hand, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.settings import Settings
from models.catalog import Catalog
from models.decide.ranker import NUMBERS
from models.evaluation.items import map_of, neighbours
from models.evaluation.run import write_section

VECTORS = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)


@pytest.fixture
def catalog() -> Catalog:
    titles = ("red mug", "blue mug", "teapot", "<b>bag</b>")
    nothing = (None,) * 4
    return Catalog(
        ids=titles,
        titles=titles,
        categories=nothing,
        brands=nothing,
        price_minor=(1,) * 4,
        currency=("GBP",) * 4,
        in_stock=np.ones(4, bool),
        offered_at=np.zeros(4, np.int64),
        campaigns=nothing,
        ships_in_days=np.full(4, -1, np.int32),
        carts_30d=np.zeros(4, np.int64),
        numbers=np.zeros((4, len(NUMBERS)), np.float32),
    )


def test_an_items_neighbours_are_the_nearest_by_cosine_without_itself(catalog):
    [found] = neighbours(catalog, VECTORS, np.array([0]))
    assert found["item"] == "red mug"
    assert [n["item"] for n in found["nearest"]][:3] == ["blue mug", "teapot", "<b>bag</b>"]
    assert found["nearest"][0]["cosine"] == 0.8


def test_the_map_fills_its_square_and_keeps_what_is_near_near(catalog):
    found = {point["item"]: (point["x"], point["y"]) for point in map_of(catalog, VECTORS, np.arange(4))}
    places = np.array(list(found.values()))
    assert (places.min(axis=0).tolist(), places.max(axis=0).tolist()) == ([0, 0], [1, 1])
    far, near = (
        np.subtract(found["red mug"], found["<b>bag</b>"]),
        np.subtract(found["red mug"], found["blue mug"]),
    )
    assert np.linalg.norm(far) > np.linalg.norm(near)


def test_the_page_shows_them_and_escapes_titles(catalog, tmp_path: Path):
    section = {
        "neighbours": neighbours(catalog, VECTORS, np.array([0, 3])),
        "map": map_of(catalog, VECTORS, np.arange(4)),
        "made": {"seconds": 1.0},
    }
    write_section(Settings(var=tmp_path), "evaluate", "items", section)
    page = (tmp_path / "reports" / "evaluate.html").read_text()
    assert page.count("<circle") == 4
    assert "&lt;b&gt;bag" in page
    assert "<b>bag" not in page

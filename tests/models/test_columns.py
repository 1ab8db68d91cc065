"""Texts as arrays: what is put in is what comes out, and where each value stands."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.decide.columns import Coded, Texts

TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=8)


@given(st.lists(TEXTS, max_size=20))
def test_texts_come_out_as_they_went_in(texts: list[str]):
    column = Texts.of(texts)
    assert list(column) == texts == column[:]
    assert column.letters.nbytes == sum(len(text.encode()) for text in texts)


@given(st.lists(st.none() | st.sampled_from(["a", "b", "ä", ""]), max_size=20))
def test_coded_texts_too_and_they_say_where_each_value_stands(texts: list[str | None]):
    column = Coded.of(texts)
    assert list(column) == texts == column[:]
    places = column.places()
    assert places.keys() == {text for text in texts if text is not None}
    for value, rows in places.items():
        assert rows.tolist() == [n for n, text in enumerate(texts) if text == value]
    assert np.array_equal(Coded.of(column).codes, column.codes)

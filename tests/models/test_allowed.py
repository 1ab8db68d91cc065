"""What no rung shows: what is muted, and what a request did not ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.decide.shopper import Shopper, Wanted
from tests.models.test_decide import IDS, ask, ids, snapshot


def test_what_is_muted_stays_out_of_every_rung_where_consent_holds():
    paths = ("home > kitchen > mugs", "home > kitchen", "home > kitchenware", None, "garden")
    at = replace(snapshot(), categories=paths)
    mutes = {"muted_items": ["e", "gone"], "muted_categories": ["home > kitchen", "toys"]}
    known = (
        {"session_items": ["a"]},
        {"vector": np.array([1, 0]), "vector_model": "m"},
        {"context": ["a"]},
        {},
    )
    for level, more in zip((0, 2, 3, 5), known, strict=True):
        decided = ask(Shopper(**more, **mutes, consent_granted=True), at=at)
        assert (decided.degraded.level, sorted(ids(decided))) == (level, ["c", "d"])
    assert sorted(ids(ask(Shopper(**mutes), at=at))) == list(IDS)
    assert at.below(["home"]).tolist() == [0, 1, 2]
    assert at.below([]).tolist() == []


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (Wanted(categories=["home"]), "cba"),
        (Wanted(categories=["home > kitchen", "toys"]), "da"),
        (Wanted(brands=["acme"]), "ca"),
        (Wanted(categories=["home"], brands=["acme", "potter"]), "cba"),
        (Wanted(least_minor=200), "edcb"),
        (Wanted(least_minor=200, most_minor=300), "cb"),
        (Wanted(categories=["home"], brands=["acme"], most_minor=100), "a"),
        (Wanted(categories=["nowhere"]), ""),
        (Wanted(brands=["nobody"]), ""),
    ],
)
def test_only_what_is_wanted_is_shown_on_every_rung(wanted, left):
    at = replace(
        snapshot(),
        categories=("home > kitchen > mugs", "home", "home > garden", "toys", None),
        brands=("acme", "potter", "acme", None, None),
        price_minor=(100, 200, 300, 400, 500),
    )
    assert "".join(ids(ask(Shopper(wanted=wanted), at=at))) == left
    known = Shopper(session_items=["e"], consent_granted=True, wanted=wanted)
    assert sorted(ids(ask(known, at=at))) == sorted(left)

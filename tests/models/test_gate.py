"""The gate on rankings made by hand, and trainings that were tampered with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.settings import Settings
from models.baselines.item_knn import item_knn, score_knn
from models.baselines.popularity import popularity, score_popularity
from models.baselines.session_knn import score_sessions, session_index
from models.catalog import read_catalog_at
from models.evaluation.baskets import at_session_start
from models.evaluation.faults import faults_section
from models.evaluation.metrics import Ranking
from models.evaluation.shop import Shop
from models.examples import Examples, read_examples, split
from models.gate import MARGIN, judge, leak_of
from models.registry import Candidate, Training
from models.train import Fit
from models.training import measured
from tests.models.conftest import CUT

CASES = 2000
SHOPPERS = np.arange(CASES, dtype=np.int32)


def ranking(hits: np.ndarray) -> Ranking:
    return Ranking(np.where(hits, 1, 100), np.zeros((len(hits), 1), np.int32))


def hits(share: float) -> np.ndarray:
    return np.arange(CASES) < share * CASES


def test_what_is_as_good_or_better_passes_and_what_is_worse_does_not():
    rivals = {"knn": ranking(hits(0.40))}
    for share, passes in ((0.40, True), (0.45, True), (0.39, False)):
        verdict = judge("model", ranking(hits(share)), rivals, SHOPPERS, {})
        assert verdict.passes is passes
        assert len(verdict.reasons) == (not passes)


def test_noise_is_no_reason():
    # 30 cases won and 40 lost of 2,000: the difference of -.005 may as well be 0.
    theirs = hits(0.40)
    ours = theirs.copy()
    ours[:40], ours[-30:] = False, True
    assert judge("model", ranking(ours), {"knn": ranking(theirs)}, SHOPPERS, {}).passes


def test_a_better_mean_hides_no_slice_that_is_served_worse():
    theirs, ours = hits(0.40), hits(0.40)
    ours[1000:1500] = True
    ours[:100] = False
    slices = {"tail": np.arange(CASES) < 200, "none": np.zeros(CASES, bool), "few": np.arange(CASES) < 20}
    verdict = judge("model", ranking(ours), {"knn": ranking(theirs)}, SHOPPERS, slices)
    assert not verdict.passes
    assert [(c.slice, c.cases) for c in verdict.comparisons] == [("all", CASES), ("tail", 200)]
    assert verdict.reasons == [verdict.reasons[0]]
    assert verdict.reasons[0].startswith("tail: Recall@20 -0.5000")


def test_a_slice_may_be_worse_by_less_than_the_margin():
    theirs = hits(0.40)
    ours = theirs.copy()
    ours[: int(MARGIN * CASES / 2)] = False
    ours[-500:] = True
    slices = {"returning": np.arange(CASES) < CASES // 2 + 200}
    assert judge("model", ranking(ours), {"knn": ranking(theirs)}, SHOPPERS, slices).passes


def test_gains_that_only_a_leak_can_bring_are_refused():
    knn, recent = ranking(hits(0.40)), ranking(hits(0.90))
    verdict = judge("model", ranking(hits(0.95)), {"knn": knn}, SHOPPERS, {}, plain=[knn])
    assert not verdict.passes
    assert "leak" in verdict.reasons[0]
    # Where shoppers add what they have just looked at, anything that reads it is as good, without a leak.
    assert judge("model", ranking(hits(0.95)), {"knn": knn}, SHOPPERS, {}, plain=[knn, recent]).passes


def test_a_baseline_may_be_twice_as_good_as_what_serves():
    verdict = judge("item_knn", ranking(hits(0.35)), {"incumbent": ranking(hits(0.09))}, SHOPPERS, {})
    assert verdict.passes


@pytest.fixture(scope="module")
def rows(small: Settings) -> tuple[Examples, Examples, int]:
    catalog = read_catalog_at(small, CUT)
    train, validation = split(read_examples(small, catalog.index, CUT), CUT, 7)
    return train, validation, len(catalog.ids)


def trained(model_train: Examples, rows: tuple[Examples, Examples, int]) -> Training:
    """Session kNN of `model_train` as the candidate; of the true rows popularity, kNN, and what is measured alone as rivals."""
    train, validation, items = rows
    counts = popularity(train.interactions(), items)
    index = session_index(model_train.interactions(), items, 500)
    fitted = [
        (Candidate("two_tower", {}, {}), score_sessions(index, counts, 500, 4)),
        (Candidate("item_knn", {}, {}), score_knn(item_knn(train.interactions(), items), counts)),
        (Candidate("popularity", {}, {}), score_popularity(counts)),
    ]
    return Training(CUT, {}, measured(fitted, None, train, validation, items)[0])


def test_shuffled_labels_and_a_dropped_slice_are_refused_and_the_best_baseline_serves(rows):
    train, _, items = rows
    shuffled = replace(train, labels=np.random.default_rng(0).permutation(train.labels))
    half = train.where(train.labels < items // 2)
    for tampered in (shuffled, half):
        training = trained(tampered, rows)
        model = training.candidates[0]
        assert not model.passes
        assert training.promoted is not None
        assert training.promoted.kind == "item_knn"
    assert trained(train, rows).candidates[0].passes


def test_every_planted_fault_of_a_whole_training_is_refused(small: Settings, rows):
    train, validation, _ = rows
    shop = Shop(read_catalog_at(small, CUT), train, validation, at_session_start(validation))
    said: list[str] = []
    found = faults_section(shop, Fit(epochs=12), said.append)
    assert (found["faults_planted"], found["faults_refused"]) == (4, 4), said
    assert "of the cart" in found["faults"]["session and cart of after the event"]["reasons"][0]
    assert "user had before" in found["faults"]["user's items of after the event"]["reasons"][0]
    assert found["clean"] == {"refused": False, "reasons": found["clean"]["reasons"]}


def test_who_adds_again_what_lies_in_the_cart_is_no_leak(rows):
    train, _, _ = rows
    again = train.carted.copy()
    again[: len(train) // 3, 0] = train.labels[: len(train) // 3]
    assert leak_of(replace(train, carted=again)) is None
    assert leak_of(replace(train, carted=train.labels[:, None])) is not None


def test_what_serves_stays_where_nothing_is_as_good(rows):
    train, validation, items = rows
    counts = popularity(train.interactions(), items)
    best = score_knn(item_knn(train.interactions(), items), counts)
    [candidate], stands = measured(
        [(Candidate("popularity", {}, {}), score_popularity(counts))], best, train, validation, items
    )
    assert not candidate.passes
    training = Training(CUT, {}, [candidate], stands)
    assert training.promoted is None
    assert training.serving["recall_at_20"] > candidate.figures["recall_at_20"]

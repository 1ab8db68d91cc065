"""Online Retail's questions by hand, and both stages on a small lake of the same calendar."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from contracts.settings import Settings
from models.decide.facts import FACTS, OF_SESSION
from models.decide.query import SLOTS
from models.decide.words import WORDS
from models.errors import ModelsError
from models.evaluation.baskets import Shares, at_session_start, basket_shares, told_of
from models.evaluation.cases import Floats
from models.evaluation.methods import TUTORIAL
from models.evaluation.plan import SHOP_TUNED
from models.evaluation.protocol import Asked, Tested
from models.evaluation.ranking import rank
from models.evaluation.run import run_final, write_section
from models.evaluation.search import Budget
from models.evaluation.searches import Searches
from models.evaluation.shop import (
    MEASURES,
    TESTED_TO,
    TUNED_TO,
    asked_without_session,
    without_session,
)
from models.evaluation.shop_baselines import BASELINES, of_sessions
from models.evaluation.shop_run import comparisons, tuned_section
from models.examples import Examples
from tests.models.conftest import write_lake


def examples(*rows: tuple[list[tuple[int, int]], int, int]) -> Examples:
    """Rows of (slots as (item, kind), label, session); the shopper is the session."""
    count = len(rows)
    positions, kinds = np.full((count, SLOTS), -1, np.int32), np.zeros((count, SLOTS), np.int32)
    for n, (slots, _, _) in enumerate(rows):
        for slot, (item, kind) in enumerate(slots):
            positions[n, slot], kinds[n, slot] = item, kind
    return Examples(
        positions,
        kinds,
        np.zeros((count, WORDS), np.int32),
        np.ones((count, FACTS), np.float32),
        np.array([label for _, label, _ in rows], np.int32),
        np.full((count, 50), -1, np.int32),
        np.array([session for *_, session in rows], np.int32),
        np.array([session for *_, session in rows], np.int32),
        np.full(count, np.datetime64("2011-08-01")),
    )


ROWS = examples(
    ([(4, 2)], 1, 0),
    ([], 3, 1),
    ([(1, 1), (4, 2)], 2, 0),
    ([(2, 1), (1, 1), (4, 2)], 1, 0),  # the same item again
)


def test_a_basket_is_asked_with_what_was_known_at_its_start():
    found = at_session_start(ROWS)
    assert list(zip(found.sessions.tolist(), found.labels.tolist(), strict=True)) == [(0, 1), (1, 3), (0, 2)]
    assert found.positions[:, 0].tolist() == [4, -1, 4]


def test_a_baskets_recall_is_the_share_of_its_items_and_each_basket_counts_once():
    def score(cases: Examples) -> Floats:
        found = np.zeros((len(cases), 40), np.float32)
        found[:, 1] = 1  # of basket 0 one of two items, of basket 1 none
        found[:, 10:35] = 0.5
        return found

    shares = basket_shares(score, at_session_start(ROWS))
    assert (shares.values.tolist(), shares.shoppers.tolist()) == ([0.5, 0.0], [0, 1])
    assert told_of(shares)["basket_recall20"] == 0.25


def test_without_the_session_the_users_slots_move_up():
    found = without_session(ROWS)
    assert found.positions[3, :2].tolist() == [4, -1]
    assert not found.facts[:, OF_SESSION].any()
    assert found.facts[:, : OF_SESSION.start].all()
    assert found.kinds[3, :2].tolist() == [2, 0]
    seen = []
    asked_without_session(lambda cases: seen.append(cases.positions[0, 0]) or np.zeros((1, 5)))(
        ROWS.where([3])
    )
    assert seen == [4]


def test_ours_is_held_against_the_best_baseline_overall_and_on_each_slice():
    asked = Asked(ROWS, np.ones(40, np.float32), np.ones(4, bool), MEASURES, {})

    def model(name: str, *right: int) -> Tested:
        scores = np.zeros((4, 40), np.float32)
        scores[:, 5:30] = 0.5
        scores[list(right), ROWS.labels[list(right)]] = 1
        shares = Shares(np.full(2, len(right) / 4), np.arange(2, dtype=np.int32))
        return Tested(name, rank(lambda cases: scores[: len(cases)], ROWS), {}, shares)

    found = [
        model("ours", 0, 1, 2, 3),
        model("two_tower_alone", 0, 1, 2),
        model("item_knn", 0, 2),
        model("tutorial_two_tower", 1),
    ]
    told = comparisons(asked, found, model("blind", 3))
    assert (told["best_baseline"], told["ratio_best_baseline"]) == ("item_knn", 2.0)
    assert (told["ratio_tutorial"], told["ratio_in_session"]) == (4.0, 4.0)
    assert told["paired_difference"]["mean"] == 0.5
    assert told["basket"]["best_baseline"] == "item_knn"
    assert told["basket"]["paired_difference"]["low"] == 0.5
    # On a slice, beside who is best there.
    empty = told["slices"]["no_history"]
    assert (empty["best_baseline"], empty["cases"], empty["mean"]) == ("tutorial_two_tower", 1, 0.0)


def broken(*_: object) -> dict[str, object]:
    raise RuntimeError("broken off")


def test_september_is_asked_with_what_august_chose_and_each_opening_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings, said = Settings(var=tmp_path), []
    # The last days that are learned from, and a week before each, of which the ranker's features are.
    cuts = (TUNED_TO, date(2011, 8, 24), date(2011, 7, 31), date(2011, 7, 24))
    write_lake(settings.evaluation, TESTED_TO, 75, 12, more_cuts=cuts)
    with pytest.raises(ModelsError, match="make evaluate"):
        run_final(settings, said.append)
    knn = next(method for method in BASELINES if method.name == "item_knn")
    section = tuned_section(
        settings,
        Searches(tmp_path / "searches.json", Budget(trials=2, seconds=60), 300),
        said.append,
        (knn, of_sessions(TUTORIAL)),
    )
    assert section["facts"]["test_cases"] == 31 * 12 * 5
    for_item = section["item_knn"]["search"]["best_for"]["item"]
    assert for_item.keys() == {"neighbours", "basket_exponent", "shrink", "decay", "of_shoppers"}
    assert section["ours"]["search"]["params"].keys() >= {"epochs", "again"}
    plan = {"trials": 2, "search_seconds": 60}
    made = {"made_at": "2026-01-01", "commit": "c", "plan": plan, "seconds": 1.0}
    write_section(settings, "evaluate", SHOP_TUNED, {**section, "made": made})
    for opened in (1, 2):
        final = run_final(settings, said.append)["online_retail"]
        assert final["facts"]["test_cases"] == 30 * 12 * 5
        assert len(final["openings"]) == opened
    page = (settings.reports / "evaluate.html").read_text()
    assert "opened 2 times" in page
    assert "next basket" in page
    monkeypatch.setattr("models.evaluation.run.final_section", broken)
    with pytest.raises(RuntimeError):
        run_final(settings, said.append)
    kept = json.loads((settings.reports / "evaluate.json").read_text())["online_retail"]
    assert len(kept["openings"]) == 3
    assert kept["ours"] == final["ours"]
    assert final["openings"][0].keys() == {"commit", "made_at"}
    # A walk's next item follows from the one before; the user's item tells the chain alone.
    assert final["ours"]["mrr20"] > 1.15 * final["ours_without_session"]["mrr20"]
    assert final["ours"]["recall20"] > final["tutorial_two_tower"]["recall20"]

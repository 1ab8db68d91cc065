"""The public sets' files, a search on a small set, and the page of its report."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from contracts.settings import Settings
from models.errors import ModelsError
from models.evaluation.cases import Cases, Dataset, NextItem, Ragged
from models.evaluation.datasets import PUBLIC
from models.evaluation.methods import ITEM_KNN, POPULARITY, SESSION_KNN
from models.evaluation.protocol import asked_of, run_method, summary
from models.evaluation.ranking import Score
from models.evaluation.run import write_section
from models.evaluation.search import Budget
from models.evaluation.searches import Searches


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def lists(ragged: Ragged) -> list[list[int]]:
    return [part.tolist() for part in np.split(ragged.values, ragged.offsets[1:-1])]


def test_beauty_leaves_one_out(tmp_path: Path):
    written(tmp_path / "amazon-beauty" / "sequences.txt.gz", "1 1 2 3 4\n2 3 1 2\n")
    written(tmp_path / "amazon-beauty" / "item_attributes.json.gz", json.dumps({"1": [5, 6], "3": [6]}))
    found = PUBLIC["beauty"](tmp_path)
    assert (found.items, lists(found.train)) == (4, [[0, 1], [2]])
    assert (lists(found.validation.histories), found.validation.labels.tolist()) == ([[0, 1], [2]], [2, 0])
    assert (lists(found.test.histories), found.test.labels.tolist()) == ([[0, 1, 2], [2, 0]], [3, 1])
    assert found.test.excluded()[1].tolist() == [0, 1, 2, 2, 0]
    assert found.attributes is not None
    assert lists(found.attributes) == [[5, 6], [], [6], []]


def test_diginetica_asks_every_prefix_of_a_session_and_knows_which_are_of_one(tmp_path: Path):
    train = "".join(f"{n} 20 30\n" for n in range(10, 20))
    written(tmp_path / "diginetica" / "train_sessions.txt.gz", train)
    written(
        tmp_path / "diginetica" / "test_prefix_target.txt.gz", "10 20 11\t30\n10 20\t11\n10\t20\n30\t10\n"
    )
    found = PUBLIC["diginetica"](tmp_path)
    # Items 10 … 20, 30 are 0 … 10, 11; the last of ten sessions validates.
    assert (found.items, len(found.tuning_train), len(found.train)) == (12, 9, 10)
    assert (lists(found.validation.histories), found.validation.labels.tolist()) == ([[9], [9, 10]], [10, 11])
    assert (lists(found.test.histories)[0], found.test.labels.tolist()) == ([0, 10, 1], [11, 1, 10, 0])
    assert found.test.shoppers.tolist() == [1, 1, 1, 2]
    assert found.test.excluded()[0].tolist() == []


def test_serenade_orders_clicks_by_time_and_leaves_unknown_items_out(tmp_path: Path):
    head = "SessionId\tItemId\tTime\n"
    written(tmp_path / "serenade" / "train.txt.gz", head + "7\t30\t9.0\n7\t10\t8.0\n5\t20\t1.0\n5\t30\t2.0\n")
    for name in ("valid", "test"):
        written(tmp_path / "serenade" / f"{name}.txt.gz", head + "1\t30\t6.0\n1\t10\t5.0\n1\t99\t5.5\n")
    found = PUBLIC["serenade"](tmp_path)
    assert lists(found.train) == [[1, 2], [0, 2]]  # session 5 ended first
    assert (lists(found.test.histories), found.test.labels.tolist()) == ([[0]], [2])


def test_a_missing_or_broken_file_is_named(tmp_path: Path):
    with pytest.raises(ModelsError, match="BRAID_DATA"):
        PUBLIC["serenade"](tmp_path)
    written(tmp_path / "amazon-beauty" / "sequences.txt.gz", "1 one\n")
    with pytest.raises(ModelsError, match="no line of integers"):
        PUBLIC["beauty"](tmp_path)


def test_every_model_is_searched_tested_and_shown(tmp_path: Path):
    chance = np.random.default_rng(3)
    walks = [[int(start), *((start + np.arange(1, 4)) % 20)] for start in chance.integers(0, 20, 300)]
    train, tested = Ragged.of(walks[:200]), Ragged.of(walks[200:])
    asked = NextItem(tested.until(1), tested.from_end(1), np.arange(100, dtype=np.int32), masks_history=False)
    measures = {"hr20": ("recall", 5), "mrr20": ("reciprocal", 5)}
    dataset = Dataset(
        "walks", 20, train, asked, train, asked, measures, {"other": {"hr20": 0.5, "mrr20": 0.4}}
    )
    searches = Searches(tmp_path / "searches.json", Budget(trials=3, seconds=60), None)
    found = [run_method(dataset, method, searches) for method in (SESSION_KNN, ITEM_KNN, POPULARITY)]
    report = summary(asked_of(dataset), found)
    assert report["session_knn"]["mrr20"] > report["popularity"]["mrr20"] + 0.2
    assert report["differences"]["mrr20"]["popularity"]["low"] > 0
    assert [report[name]["search"]["trials"] for name in ("session_knn", "popularity")] == [3, 1]
    anew = replace(searches, path=tmp_path / "anew.json")
    again = run_method(dataset, SESSION_KNN, anew)
    assert again.about["search"]["params"] == report["session_knn"]["search"]["params"]
    fitted: list[str] = []

    def fit(how: str, *asked: object) -> Score[Cases]:
        fitted.append(how)
        return POPULARITY.fit(*asked)

    cut_short = replace(
        ITEM_KNN, name="cut", fit=partial(fit, "whole"), within=lambda seconds: partial(fit, f"{seconds:g} s")
    )
    run_method(dataset, cut_short, searches)
    assert fitted == ["12 s", "12 s", "12 s", "60 s"]
    plan = {"trials": 3, "search_seconds": 60}
    section = {**report, "made": {"made_at": "2026-01-01", "commit": "c", "plan": plan, "seconds": 1.0}}
    whole = write_section(Settings(var=tmp_path), "evaluate", "walks", section)
    assert write_section(Settings(var=tmp_path), "evaluate", "again", section).keys() == {*whole, "again"}
    page = (tmp_path / "reports" / "evaluate.html").read_text()
    assert all(f"<td>{name}</td>" in page for name in ("session_knn", "item_knn", "popularity"))
    assert "other (published)" in page

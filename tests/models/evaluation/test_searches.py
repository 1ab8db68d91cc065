"""A search is made once, and again when its plan, its data or its code is another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.evaluation.search import Budget
from models.evaluation.searches import BASELINES, OURS, Searches, Told, digest_of, named


def test_a_search_is_kept_by_plan_data_and_code(tmp_path: Path):
    made: list[int] = []

    def search() -> Told:
        made.append(1)
        return {"params": {"neighbours": len(made)}}

    searches = Searches(tmp_path / "var" / "searches.json", Budget(3, 60.0), 100)
    data = named("walks", np.arange(3))
    ask: Callable[[Searches, str], Told] = lambda of, of_data: of.kept(of_data, "knn", BASELINES, search)  # noqa: E731
    assert ask(searches, data)["params"] == ask(searches, data)["params"] == {"neighbours": 1}
    assert ask(replace(searches, budget=Budget(4, 60.0)), data)["params"] == {"neighbours": 2}
    assert ask(searches, named("walks", np.arange(4)))["params"] == {"neighbours": 3}
    assert searches.kept(data, "knn", OURS, search)["params"] == {"neighbours": 4}
    assert ask(searches, data)["params"] == {"neighbours": 1}


def test_the_digest_is_of_every_file_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.evaluation.searches.ROOT", tmp_path)
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "one.py").write_text("1")
    (tmp_path / "two.py").write_text("2")
    before = digest_of(("room", "two.py"))
    assert digest_of(("two.py", "room")) == before
    (tmp_path / "room" / "one.py").write_text("3")
    assert digest_of(("room", "two.py")) != before


def test_a_search_that_is_broken_off_keeps_nothing(tmp_path: Path):
    def broken() -> Told:
        raise RuntimeError("broken off")

    searches = Searches(tmp_path / "searches.json", Budget(3, 60.0), None)
    with pytest.raises(RuntimeError):
        searches.kept("walks", "knn", BASELINES, broken)
    assert searches.kept("walks", "knn", BASELINES, lambda: {"params": {}})["params"] == {}

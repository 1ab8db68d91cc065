"""Aliases, hand-made promotions and roll backs, and what stands against a new model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from contracts.settings import Settings
from models.__main__ import main
from models.catalog import read_catalog_at
from models.errors import ModelsError
from models.evaluation.ranking import rank
from models.examples import read_examples, split
from models.incumbent import incumbent_score
from models.registry import Candidate, Training, champion, point, register, roll_back, standing, versions
from models.train import Fit
from models.training import How, baselines, measured, train_candidates
from tests.models.conftest import CUT


@pytest.fixture
def own(small: Settings, tmp_path: Path) -> Settings:
    """The small lake under a registry of its own."""
    settings = replace(small, var=tmp_path)
    settings.lake.symlink_to(small.lake)
    return settings


def candidates(settings: Settings) -> list[Candidate]:
    catalog = read_catalog_at(settings, CUT)
    train, validation = split(read_examples(settings, catalog.index, CUT), CUT, 7)
    return measured(baselines(catalog, train), None, train, validation, len(catalog.ids))[0]


def trained(settings: Settings, *found: Candidate, cut: date = CUT) -> None:
    register(settings, Training(cut, {}, found))


def test_what_was_promoted_by_hand_is_rolled_back(own: Settings, capsys, monkeypatch: pytest.MonkeyPatch):
    knn, popular = candidates(own)
    assert standing(own) is None
    trained(own, knn, popular)
    assert champion(own).model_version == "item_knn-1"
    point(own, "2")
    point(own, "2")  # once more changes nothing
    assert champion(own).model_version == "popularity-2"
    assert roll_back(own) == "1"
    with pytest.raises(ModelsError, match="took the place of no other"):
        roll_back(own)
    with pytest.raises(ModelsError, match="no version 9"):
        point(own, "9")
    monkeypatch.setenv("BRAID_VAR", str(own.var))
    assert main(["list"]) == main(["compare", "1", "2"]) == 0
    told = capsys.readouterr().out
    assert [row["version"] for row in versions(own)] == ["2", "1"]
    assert "champion" in told
    assert main(["compare", "1", "7"]) == 1


def test_the_registered_files_score_as_the_candidate_did(own: Settings):
    knn, popular = candidates(own)
    catalog = read_catalog_at(own, CUT)
    train, validation = split(read_examples(own, catalog.index, CUT), CUT, 7)
    for candidate in (knn, popular):
        trained(own, candidate)
        ranking = rank(incumbent_score(champion(own), catalog, train, None), validation)
        assert np.mean(ranking.recall(20)) == pytest.approx(candidate.figures["recall_at_20"])


def test_a_champion_that_learned_from_the_validation_days_is_no_judge(own: Settings):
    trained(own, *candidates(own), cut=CUT + timedelta(days=1))
    with pytest.raises(ModelsError, match="train a later cut"):
        train_candidates(own, CUT, How(Fit(epochs=1)), champion(own))


def test_a_champion_whose_files_were_changed_is_named(own: Settings):
    trained(own, *candidates(own))
    for folder in champion(own).folders.values():
        (folder / "items.json").write_text("[]")
    with pytest.raises(ModelsError, match="promote or roll back"):
        standing(own)

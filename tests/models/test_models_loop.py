"""train → embed → publish through the commands, on a small lake with planted chains."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from contracts.settings import Settings
from models.__main__ import main
from models.catalog import read_catalog_at
from models.cohorts import read_cohorts
from models.decide.artifacts import current_version, open_served, open_snapshot
from models.decide.decide import decide
from models.decide.shopper import Shopper
from models.errors import ModelsError
from models.registry import CHAMPION, EXPERIMENT, MODEL, Candidate, Training, champion, register
from models.tables import read_all
from tests.models.conftest import CUT, item

AT = datetime(2011, 8, 30, tzinfo=UTC)
ITEM_COLUMNS = ("item_id", "vector", "model_version", "cut_on")


@pytest.fixture(scope="module")
def published(small: Settings) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAID_VAR", str(small.var))
        assert main(["train", "--cut", str(CUT), "--epochs", "25"]) == 0
        assert main(["embed", "--cut", str(CUT)]) == 0
        assert main(["publish", "--cut", str(CUT)]) == 0
        yield small


def test_the_models_beat_popularity_and_the_best_is_champion(published: Settings):
    report = json.loads((published.reports / "train.json").read_text())
    recall = {kind: metrics["recall_at_20"] for kind, metrics in report["candidates"].items()}
    assert recall["two_tower"] > recall["popularity"] + 0.2
    assert recall["item_knn"] > recall["popularity"] + 0.2
    passing = [kind for kind in recall if kind not in report["refused"]]
    assert report["serves"] == max(passing, key=recall.__getitem__)
    assert champion(published).kind == report["serves"]


def test_a_crash_between_model_and_experiment_breaks_no_later_training(small: Settings, tmp_path: Path):
    from mlflow import MlflowClient

    for name, make in (
        ("model", lambda client: client.create_registered_model(MODEL)),
        ("experiment", lambda client: client.create_experiment(EXPERIMENT, (tmp_path / "a").as_uri())),
    ):
        settings = replace(small, var=tmp_path / name)
        (settings.var / "mlflow").mkdir(parents=True)
        make(MlflowClient(settings.mlflow_uri, settings.mlflow_uri))
        candidate = Candidate("popularity", {"recall_at_20": 0.5, "ndcg_at_20": 0.25}, {"table.json": b"{}"})
        for version in ("1", "2"):
            register(settings, Training(CUT, {"seed": 0}, [candidate]))
            assert champion(settings).model_version == f"popularity-{version}"


def test_every_candidate_is_registered_with_signature_and_without_pickle(published: Settings):
    from mlflow import MlflowClient
    from mlflow.models import Model

    versions = MlflowClient(published.mlflow_uri).search_model_versions(f"name = '{MODEL}'")
    assert {version.tags["kind"] for version in versions} == {"two_tower", "item_knn", "popularity"}
    for folder in champion(published).folders.values():
        assert Model.load(str(folder)).signature is not None
        assert not {path.suffix for path in folder.iterdir()} & {".pkl", ".pickle"}


def test_a_new_item_stands_beside_its_namesake(published: Settings):
    at = _snapshot(published)
    nearest = np.argsort(-(at.vectors @ at.vectors[at.index["new"]]))[1:11]
    assert item(3, 4) in [at.ids[row] for row in nearest]


def test_a_country_s_list_counts_many_who_grant_and_a_country_of_few_has_none(published: Settings):
    assert list(_snapshot(published).cohorts.names) == ["France"]
    catalog = read_catalog_at(published, CUT)
    nothing_else = replace(catalog, carts_30d=np.zeros_like(catalog.carts_30d))
    listed = read_cohorts(published, nothing_else, CUT).named("France")
    assert listed is not None
    # Nine shoppers, three; and of the third item's three two deny, one by the device, one as a user.
    told = [catalog.ids[row] for row, score in zip(listed.items, listed.scores, strict=True) if score > 0]
    assert told == [item(18, 9), item(17, 9)]


def test_the_snapshot_answers_with_what_follows_in_the_chain(published: Settings):
    served = open_served(published.serving / str(current_version(published.serving)))
    shopper = Shopper(
        session_items=[item(5, 3), item(5, 2)], carted=[item(5, 3), item(5, 2)], consent_granted=True
    )
    decided = decide(served, shopper, "cart", 3, AT)
    assert decided.degraded.level == 0
    assert decided.results[0].item_id == item(5, 4)
    assert decided.results[0].source == "two_tower"


def test_embed_and_publish_again_give_the_same(published: Settings):
    def made() -> tuple[dict[str, str], list[dict]]:
        return _hashes(published.serving), read_all(
            published, "gold_item_embeddings", ITEM_COLUMNS
        ).to_pylist()

    before = made()
    assert main(["embed", "--cut", str(CUT)]) == main(["publish", "--cut", str(CUT)]) == 0
    assert made() == before


def test_a_cut_without_rows_is_refused_and_what_serves_stays(
    published: Settings, capsys: pytest.CaptureFixture[str]
):
    before = _hashes(published.serving)
    tomorrow = str(CUT + timedelta(days=1))
    assert main(["embed", "--cut", tomorrow]) == 1
    assert "gold_item_features has no row of cut" in capsys.readouterr().err
    assert main(["publish", "--cut", tomorrow]) == 1
    assert "models embed --cut" in capsys.readouterr().err
    assert _hashes(published.serving) == before


def test_a_baseline_can_be_champion(small: Settings, published: Settings, tmp_path: Path):
    """The same lake under another registry, where only the baselines stand."""
    from models.catalog import read_catalog_at
    from models.embed import embed
    from models.examples import read_examples, split
    from models.publish import publish, stage
    from models.registry import Training
    from models.training import baselines, measured

    alone = Settings(var=tmp_path)
    alone.lake.symlink_to(small.lake)
    with pytest.raises(ModelsError, match=CHAMPION):
        champion(alone)
    catalog = read_catalog_at(alone, CUT)
    train, validation = split(read_examples(alone, catalog.index, CUT), CUT, 7)
    candidates, _ = measured(baselines(catalog, train), None, train, validation, len(catalog.ids))
    register(alone, Training(CUT, {}, candidates))
    assert embed(alone, champion(alone), CUT) == 0
    assert stage(alone, champion(alone), CUT, alone.clock().now()) == publish(alone, CUT)
    version = str(current_version(alone.serving))
    served = open_served(alone.serving / version)
    assert served.query is None
    shopper = Shopper(session_items=[item(5, 3)], carted=[item(5, 3)], consent_granted=True)
    decided = decide(served, shopper, "cart", 3, AT)
    assert [result.source for result in decided.results] == ["item_knn"] * 3
    assert all(result.item_id.startswith("c05") for result in decided.results)


def _snapshot(settings: Settings):
    return open_snapshot(settings.serving / str(current_version(settings.serving)))


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

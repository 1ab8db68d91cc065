"""MLflow: a run a training, a registered version a candidate, the alias `champion` on what serves.

Which candidate that is the gate says (`models.gate`); `challenger` names the newest two-tower while it is refused.

Each candidate is a folder of plain files (arrays, JSON, LiteRT; no pickle) with an MLmodel that carries its
signature, and `checksums.json`.
"""

from __future__ import annotations

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)

from contracts.settings import Settings
from models import files
from models.card import card_of
from models.decide.layout import LAYOUT
from models.decide.snapshot import Kind
from models.errors import ModelsError, OtherLayoutError
from models.gate import Verdict
from models.signature import signature_of

MODEL = "braid-retrieval"
EXPERIMENT = "retrieval"
CHAMPION = "champion"
CHALLENGER = "challenger"
REPLACED = "replaced"
"""Of a champion's version, the version that it took the place of."""
VALIDATED_FROM = "validated_from"
"""Of a version, the first day that it did not learn from."""
CARD = "card.md"
CARD_CHARACTERS = 5000
"""What the registry takes as a version's description."""
NOTHING_THERE = frozenset(map(ErrorCode.Name, (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE)))
"""What it says of a model, and of an alias, that there is not."""
CHECKSUMS = "checksums.json"
FLAVOR = "braid"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a training.

    Attributes:
        figures: on the validation days, by name.
        slices: Recall@20 with its interval by slice.
        files: name → content.
        verdict: what the gate says of it; None where it had no rival.
    """

    kind: Kind
    figures: Mapping[str, float]
    files: Mapping[str, bytes]
    slices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def passes(self) -> bool:
        return self.verdict is None or self.verdict.passes


@dataclass(frozen=True, slots=True)
class Training:
    """One call of `train`: every candidate saw the same rows."""

    cut_on: date
    params: Mapping[str, str | int | float]
    candidates: Sequence[Candidate]
    incumbent: Mapping[str, float] | None = None
    """What served before, on the same rows."""

    @property
    def promoted(self) -> Candidate | None:
        """Of those that pass the gate the greatest Recall@20, then NDCG@20, the first of equals; None: what serves stays."""
        passing = [candidate for candidate in self.candidates if candidate.passes]
        return max(passing, key=lambda c: (c.figures["recall_at_20"], c.figures["ndcg_at_20"]), default=None)

    @property
    def serving(self) -> Mapping[str, float]:
        """The figures of what serves from now on."""
        found = self.promoted.figures if self.promoted else self.incumbent
        assert found is not None, "without an incumbent every baseline passes"
        return found


@dataclass(frozen=True, slots=True)
class Champion:
    """What serves: `model_version` names it in answers; `folders` of all candidates of its run, checked.

    `validated_from` is the first day that it did not learn from.
    """

    kind: Kind
    model_version: str
    folders: Mapping[str, Path]
    validated_from: date | None = None


def register(settings: Settings, training: Training) -> str:
    """Log the run, register every candidate and point `champion` at the promoted one; returns the run's id."""
    client = _client(settings)
    _make_model(client)
    run_id = client.create_run(_experiment(client, settings), run_name=f"train-{training.cut_on}").info.run_id
    for name, value in {**training.params, "cut": str(training.cut_on)}.items():
        client.log_param(run_id, name, value)
    versions = {
        candidate.kind: _register(client, run_id, training, candidate) for candidate in training.candidates
    }
    promoted = training.promoted
    client.set_tag(run_id, "champion", promoted.kind if promoted else "none")
    if promoted:
        point(settings, versions[promoted.kind])
    for candidate in training.candidates:
        if candidate.kind == "two_tower" and candidate.passes:
            client.delete_registered_model_alias(MODEL, CHALLENGER)
        elif candidate.kind == "two_tower":
            client.set_registered_model_alias(MODEL, CHALLENGER, versions[candidate.kind])
    client.set_terminated(run_id)
    return str(run_id)


def point(settings: Settings, version: str) -> None:
    """Let `champion` name this version; the version it named before is remembered for `roll_back`.

    Raises:
        ModelsError: there is no such version.
    """
    client = _client(settings)
    before = _aliased(client)
    try:
        if before is not None and str(before.version) != version:
            client.set_model_version_tag(MODEL, version, REPLACED, str(before.version))
        client.set_registered_model_alias(MODEL, CHAMPION, version)
    except MlflowException as error:
        raise ModelsError(f"{MODEL} has no version {version}: see `python -m models list`") from error


def roll_back(settings: Settings) -> str:
    """Let `champion` name again what it named before its present version; returns that version.

    Raises:
        ModelsError: there is no champion, or it replaced none.
    """
    client = _client(settings)
    now = _aliased(client)
    if now is None or REPLACED not in now.tags:
        raise ModelsError(f"{MODEL}: {CHAMPION} took the place of no other version")
    client.set_registered_model_alias(MODEL, CHAMPION, now.tags[REPLACED])
    return str(now.tags[REPLACED])


def versions(settings: Settings) -> list[dict[str, str]]:
    """Every version, newest first: its number, aliases and tags (kind, cut, figures).

    Raises:
        ModelsError: nothing was trained yet.
    """
    client = _client(settings)
    try:
        aliases = client.get_registered_model(MODEL).aliases
    except MlflowException as error:
        raise ModelsError(f"{MODEL} is not there yet: run `python -m models train --cut …` first") from error
    found = client.search_model_versions(f"name = '{MODEL}'", max_results=1000)
    return [
        {
            "version": str(one.version),
            "alias": " ".join(sorted(name for name, v in aliases.items() if str(v) == str(one.version))),
            **one.tags,
        }
        for one in sorted(found, key=lambda one: -int(one.version))
    ]


def _aliased(client: MlflowClient) -> ModelVersion | None:
    """The champion's version; None before the first training.

    Raises:
        ModelsError: the registry does not answer.
    """
    try:
        return client.get_model_version_by_alias(MODEL, CHAMPION)
    except MlflowException as error:
        if error.error_code in NOTHING_THERE:
            return None
        raise ModelsError(f"the registry does not answer: {error}") from error


def champion(settings: Settings) -> Champion:
    """The version with the alias `champion`.

    Raises:
        ModelsError: there is none yet, or a file is not what its checksum says.
    """
    client = _client(settings)
    version = _aliased(client)
    if version is None:
        raise ModelsError(f"{MODEL} has no {CHAMPION}: run `python -m models train --cut …` first")
    return _opened(settings, client, version)


def named(settings: Settings, model_version: str) -> Champion:
    """The version that answers and snapshots call `model_version` (`two_tower-7`).

    Raises:
        ModelsError: there is none, or a file is not what its checksum says.
    """
    client = _client(settings)
    try:
        version = client.get_model_version(MODEL, model_version.rpartition("-")[2])
    except MlflowException as error:
        raise ModelsError(f"{MODEL} has no version {model_version}: see `python -m models list`") from error
    return _opened(settings, client, version)


def _opened(settings: Settings, client: MlflowClient, version: ModelVersion) -> Champion:
    """The files of a version's run, checked."""
    assert version.run_id is not None
    artifacts = client.get_run(version.run_id).info.artifact_uri
    try:
        root = Path(download_artifacts(artifact_uri=artifacts, tracking_uri=settings.mlflow_uri))
    except (MlflowException, OSError) as error:
        raise ModelsError(f"the files of version {version.version} cannot be had: {error}") from error
    folders = {folder.name: folder for folder in sorted(root.iterdir()) if (folder / CHECKSUMS).is_file()}
    for folder in folders.values():
        _check(folder)
    if version.tags["kind"] == "two_tower" and files.layout_of(folders["two_tower"]) != LAYOUT:
        raise OtherLayoutError(
            f"two_tower-{version.version} reads another layout of questions than this code asks: train anew (python -m models train --start full)"
        )
    kind, told = version.tags["kind"], version.tags.get(VALIDATED_FROM)
    name = f"{kind}-{version.version}"
    return Champion(kind, name, folders, date.fromisoformat(told) if told else None)  # type: ignore[arg-type]


def standing(settings: Settings) -> Champion | None:
    """The champion, None before the first training.

    Raises:
        OtherLayoutError: it reads another layout of questions than this code asks.
    """
    return champion(settings) if _aliased(_client(settings)) else None


def _register(client: MlflowClient, run_id: str, training: Training, candidate: Candidate) -> str:
    """Log one candidate's metrics and files, and return its new version."""
    for name, value in candidate.figures.items():
        client.log_metric(run_id, f"{candidate.kind}.{name}", value)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / candidate.kind
        card = card_of(
            training.cut_on,
            params=training.params,
            kind=candidate.kind,
            figures=candidate.figures,
            slices=candidate.slices,
            verdict=candidate.verdict,
        )
        _write(folder, run_id, candidate, card)
        client.log_artifacts(run_id, str(folder), candidate.kind)
    source = f"{client.get_run(run_id).info.artifact_uri}/{candidate.kind}"
    about = {
        "kind": candidate.kind,
        "cut": str(training.cut_on),
        "passes": str(candidate.passes).lower(),
        VALIDATED_FROM: str(training.params.get(VALIDATED_FROM, training.cut_on)),
    }
    figures = {name: f"{value:.6f}" for name, value in candidate.figures.items()}
    made = client.create_model_version(
        MODEL, source, run_id, tags={**about, **figures}, description=card[:CARD_CHARACTERS]
    )
    return str(made.version)


def _write(folder: Path, run_id: str, candidate: Candidate, card: str) -> None:
    folder.mkdir()
    (folder / CARD).write_text(card)
    for name, content in candidate.files.items():
        (folder / name).write_bytes(content)
    model = Model(candidate.kind, run_id, signature=signature_of(candidate.kind))
    model.add_flavor(FLAVOR, kind=candidate.kind, files=sorted(candidate.files))
    model.save(str(folder / "MLmodel"))
    checksums = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    (folder / CHECKSUMS).write_text(json.dumps(checksums, indent=2) + "\n")


def _check(folder: Path) -> None:
    for name, digest in json.loads((folder / CHECKSUMS).read_text()).items():
        if _sha256(folder / name) != digest:
            raise ModelsError(
                f"{folder / name}: its SHA-256 is not the one in {CHECKSUMS}: promote or roll back to another version"
            )


def _client(settings: Settings) -> MlflowClient:
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    (settings.var / "mlflow").mkdir(parents=True, exist_ok=True)
    return MlflowClient(settings.mlflow_uri, settings.mlflow_uri)


def _experiment(client: MlflowClient, settings: Settings) -> str:
    """The id of the experiment; made on first use."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    return client.create_experiment(EXPERIMENT, (settings.var / "mlflow" / "artifacts").as_uri())


def _make_model(client: MlflowClient) -> None:
    """Make the registered model unless it is there; whether the experiment is says nothing of it."""
    try:
        client.create_registered_model(MODEL, description="Retrieval candidates; `champion` serves")
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""MLflow: a run a training, a registered version a candidate, the alias `champion` on what serves.

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
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types import Schema, TensorSpec

from contracts.features import EMBEDDING_SIZE
from contracts.settings import Settings
from models.decide.query import SLOTS
from models.decide.snapshot import Kind
from models.errors import ModelsError
from models.evaluation import Metrics

MODEL = "braid-retrieval"
EXPERIMENT = "retrieval"
CHAMPION = "champion"
CHECKSUMS = "checksums.json"
FLAVOR = "braid"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model of a training: its validation metrics and its files {name: content}."""

    kind: Kind
    metrics: Metrics
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Training:
    """One call of `train`: every candidate saw the same rows."""

    cut_on: date
    params: Mapping[str, str | int | float]
    candidates: Sequence[Candidate]

    @property
    def best(self) -> Candidate:
        """The greatest Recall@20 on validation, then NDCG@20; the first of equals."""
        return max(self.candidates, key=lambda c: (c.metrics.recall_at_20, c.metrics.ndcg_at_20))


@dataclass(frozen=True, slots=True)
class Champion:
    """What serves: `model_version` names it in answers; `folders` of all candidates of its run, checked."""

    kind: Kind
    model_version: str
    folders: Mapping[str, Path]


def register(settings: Settings, training: Training) -> str:
    """Log the run, register every candidate and point `champion` at the best; returns the run's id."""
    client = _client(settings)
    _make_model(client)
    run_id = client.create_run(_experiment(client, settings), run_name=f"train-{training.cut_on}").info.run_id
    for name, value in {**training.params, "cut": str(training.cut_on)}.items():
        client.log_param(run_id, name, value)
    versions = {
        candidate.kind: _register(client, run_id, training, candidate) for candidate in training.candidates
    }
    client.set_tag(run_id, "champion", training.best.kind)
    client.set_registered_model_alias(MODEL, CHAMPION, versions[training.best.kind])
    client.set_terminated(run_id)
    return str(run_id)


def champion(settings: Settings) -> Champion:
    """The version with the alias `champion`.

    Raises:
        ModelsError: there is none yet, or a file is not what its checksum says.
    """
    client = _client(settings)
    try:
        version = client.get_model_version_by_alias(MODEL, CHAMPION)
    except MlflowException as error:
        raise ModelsError(f"{MODEL} has no {CHAMPION}: run `python -m models train --cut …` first") from error
    assert version.run_id is not None
    artifacts = client.get_run(version.run_id).info.artifact_uri
    root = Path(download_artifacts(artifact_uri=artifacts, tracking_uri=settings.mlflow_uri))
    folders = {folder.name: folder for folder in sorted(root.iterdir()) if (folder / CHECKSUMS).is_file()}
    for folder in folders.values():
        _check(folder)
    return Champion(version.tags["kind"], f"{version.tags['kind']}-{version.version}", folders)  # type: ignore[arg-type]


def signature_of(kind: Kind) -> ModelSignature:
    """What the candidate takes and gives, as tensors."""
    kinds = TensorSpec(np.dtype(np.int32), (-1, SLOTS), "slot_kind")
    if kind == "two_tower":
        vectors = TensorSpec(np.dtype(np.float32), (-1, SLOTS, EMBEDDING_SIZE), "item_vectors")
        query = TensorSpec(np.dtype(np.float32), (-1, EMBEDDING_SIZE), "query")
        return ModelSignature(Schema([vectors, kinds]), Schema([query]))
    positions = TensorSpec(np.dtype(np.int32), (-1, SLOTS), "positions")
    scores = TensorSpec(np.dtype(np.float32), (-1, -1), "scores")
    return ModelSignature(Schema([positions, kinds]), Schema([scores]))


def _register(client: MlflowClient, run_id: str, training: Training, candidate: Candidate) -> str:
    """Log one candidate's metrics and files, and return its new version."""
    for name, value in candidate.metrics.as_dict().items():
        client.log_metric(run_id, f"{candidate.kind}.{name}", value)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / candidate.kind
        _write(folder, run_id, candidate)
        client.log_artifacts(run_id, str(folder), candidate.kind)
    source = f"{client.get_run(run_id).info.artifact_uri}/{candidate.kind}"
    tags = {"kind": candidate.kind, "cut": str(training.cut_on)}
    metrics = {name: f"{value:.6f}" for name, value in candidate.metrics.as_dict().items()}
    return str(client.create_model_version(MODEL, source, run_id, tags={**tags, **metrics}).version)


def _write(folder: Path, run_id: str, candidate: Candidate) -> None:
    folder.mkdir()
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
            raise ModelsError(f"{folder / name}: its SHA-256 is not the one in {CHECKSUMS}; train again")


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

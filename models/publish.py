"""The served snapshot of a cut: staged whole and checked, then made current in one step.

```
models embed ─► staged ─► spark_jobs user_vectors reads it ─► materialize ─► models publish ─► current
```
"""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from contracts.features import EMBEDDING_SIZE
from contracts.settings import Settings
from models import files
from models.catalog import Catalog, read_catalog_at
from models.cohorts import read_cohorts
from models.decide.artifacts import (
    forget_old,
    open_snapshot,
    set_current,
    set_staged,
    staged_version,
    write_snapshot,
)
from models.decide.blend import SERVED
from models.decide.cohorts import Cohorts
from models.decide.sessions import no_sessions
from models.decide.snapshot import Snapshot
from models.errors import ModelsError
from models.registry import Champion
from models.tables import read_cut

Floats = npt.NDArray[np.float32]
KEPT = 5


def stage(settings: Settings, champion: Champion, cut_on: date, made_at: datetime) -> str:
    """Write the cut's snapshot for its publish; returns its version. The newest of the last five cuts are kept.

    Raises:
        ModelsError: the vectors are not the champion's, or the snapshot is not fit to serve.
    """
    catalog = read_catalog_at(settings, cut_on)
    vectors = no_vectors()
    if champion.kind == "two_tower":
        vectors = stored_vectors(settings, catalog, champion, cut_on)
    cohorts = read_cohorts(settings, catalog, cut_on)
    snapshot = snapshot_of(catalog, vectors, champion, cut_on, cohorts)
    version = write_checked(settings, snapshot, champion, made_at)
    set_staged(settings.serving, str(cut_on), version)
    forget_old(settings.serving, KEPT)
    return version


def publish(settings: Settings, cut_on: date) -> str:
    """Make the cut's staged snapshot the one that serves; returns its version.

    Raises:
        ModelsError: none was staged.
        SnapshotError: its files are not what they were.
    """
    version = staged_version(settings.serving, str(cut_on))
    if version is None:
        raise ModelsError(
            f"no snapshot of {cut_on} is staged: run `python -m models embed --cut {cut_on}` first"
        )
    open_snapshot(settings.serving / version)
    set_current(settings.serving, version)
    return version


def snapshot_of(
    catalog: Catalog, vectors: Floats, champion: Champion, cut_on: date, cohorts: Cohorts
) -> Snapshot:
    """The catalog at the cut with the champion's arrays; popularity is the cut's own last 30 days."""
    knn = files.read_knn(champion.folders["item_knn"], catalog.index)
    towers = champion.folders["two_tower"] if champion.kind == "two_tower" else None
    return Snapshot(
        ids=catalog.ids,
        index=catalog.index,
        titles=catalog.titles,
        categories=catalog.categories,
        brands=catalog.brands,
        price_minor=catalog.price_minor,
        currency=catalog.currency,
        in_stock=catalog.in_stock,
        offered_at=catalog.offered_at,
        campaigns=catalog.campaigns,
        ships_in_days=catalog.ships_in_days,
        numbers=catalog.numbers,
        vectors=vectors,
        word_vectors=files.read_word_vectors(towers) if towers else no_vectors(),
        popularity=catalog.carts_30d.astype(np.float32),
        neighbours=knn.neighbours,
        scores=knn.scores,
        sessions=files.read_visits(towers, catalog.index) if towers else no_sessions(len(catalog.ids)),
        kind=champion.kind,
        version="",
        model_version=champion.model_version,
        cut_on=str(cut_on),
        blend=files.read_blend(towers) if towers else SERVED,
        cohorts=cohorts,
    )


def write_checked(settings: Settings, snapshot: Snapshot, champion: Champion, made_at: datetime) -> str:
    """Write a snapshot, with the champion's query tower where it has one; returns its version.

    Raises:
        ModelsError: it is not fit to serve.
    """
    check(snapshot)
    tower = ranker = None
    if champion.kind == "two_tower":
        folder = champion.folders["two_tower"]
        tower, ranker = (folder / files.QUERY_TOWER).read_bytes(), files.read_ranker(folder)
    return write_snapshot(settings.serving, snapshot, tower, made_at, ranker)


def no_vectors() -> Floats:
    """What a baseline's snapshot has."""
    return np.empty((0, EMBEDDING_SIZE), np.float32)


def stored_vectors(settings: Settings, catalog: Catalog, champion: Champion, cut_on: date) -> Floats:
    """float32[items, 64] from `gold_item_embeddings`, in the catalog's order.

    Raises:
        ModelsError: they are of another model or other items.
    """
    rows = read_cut(settings, "gold_item_embeddings", cut_on, ("item_id", "vector", "model_version")).sort_by(
        "item_id"
    )
    models = set(rows.column("model_version").to_pylist())
    if models != {champion.model_version}:
        raise ModelsError(
            f"gold_item_embeddings of {cut_on} is of {sorted(models)}, the champion is "
            f"{champion.model_version}: run `python -m models embed --cut {cut_on}`"
        )
    if tuple(rows.column("item_id").to_pylist()) != catalog.ids:
        raise ModelsError(
            f"gold_item_embeddings of {cut_on} has other items than the catalog: embed the cut again"
        )
    flat = rows.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors: Floats = flat.astype(np.float32).reshape(len(catalog.ids), EMBEDDING_SIZE)
    return vectors


def check(snapshot: Snapshot) -> None:
    """Refuse a snapshot that would answer with nothing or with nonsense.

    Raises:
        ModelsError: it has no item in stock, or vectors that are not finite and of unit length.
    """
    if not snapshot.in_stock.any():
        raise ModelsError(
            f"cut {snapshot.cut_on}: none of {len(snapshot.ids)} items is in stock; look at gold_item_features"
        )
    if snapshot.kind == "two_tower":
        lengths = np.linalg.norm(snapshot.vectors, axis=1)
        wrong = [snapshot.ids[row] for row in np.flatnonzero(~(np.abs(lengths - 1) < 1e-3))[:5]]
        if wrong:
            raise ModelsError(
                f"cut {snapshot.cut_on}: item vectors of no unit length, among them {wrong}; embed again"
            )

"""Vectors of every item at a cut, by the champion's exported item tower."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.settings import Settings
from models import files
from models.catalog import Catalog, item_features, read_catalog_at
from models.item_vectors import item_vectors
from models.registry import Champion
from models.tables import replace_cut

Floats = npt.NDArray[np.float32]
VECTOR = pa.list_(pa.float32())


def embed(settings: Settings, champion: Champion, cut_on: date) -> int:
    """Replace the cut's rows of `gold_item_embeddings`; returns how many. A baseline has no vectors: nothing is written then."""
    if champion.kind != "two_tower":
        return 0
    catalog = read_catalog_at(settings, cut_on)
    vectors = catalog_vectors(champion.folders["two_tower"], catalog)
    replace_cut(settings, "gold_item_embeddings", cut_on, item_rows(catalog, vectors, champion, cut_on))
    return len(catalog.ids)


def catalog_vectors(folder: Path, catalog: Catalog) -> Floats:
    """float32[items, 64]; items that training did not see have the vector of their title and price."""
    return item_vectors(folder / files.ITEM_TOWER, item_features(catalog, files.read_vocabulary(folder)))


def item_rows(catalog: Catalog, vectors: Floats, champion: Champion, cut_on: date) -> pa.Table:
    count = len(catalog.ids)
    return pa.table(
        {
            "item_id": pa.array(catalog.ids, pa.string()),
            "vector": _vectors(vectors),
            "model_version": pa.array([champion.model_version] * count, pa.string()),
            "cut_on": pa.array([cut_on] * count, pa.date32()),
        }
    )


def _vectors(vectors: Floats) -> pa.Array:
    """Rows of float32[n, dim] as lists."""
    offsets = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.ravel(), pa.float32()), type=VECTOR)

"""Vectors of every item and user at a cut, by the champion's exported towers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.features import EMBEDDING_SIZE
from contracts.settings import Settings
from models import files
from models.catalog import Catalog, item_features, read_catalog_at
from models.decide.artifacts import QueryTower, tower_query
from models.decide.decide import Query
from models.decide.query import slots
from models.item_vectors import item_vectors
from models.registry import Champion
from models.tables import read_cut, replace_cut

Floats = npt.NDArray[np.float32]
VECTOR = pa.list_(pa.float32())
USER_COLUMNS = ("user_id", "user_last_items", "event_timestamp", "created_timestamp")


def embed(settings: Settings, champion: Champion, cut_on: date) -> tuple[int, int]:
    """Replace the cut's rows of `gold_item_embeddings` and `gold_user_embeddings`; the number of each.

    A baseline has no vectors: nothing is written then. A user without a known item has none either.
    """
    if champion.kind != "two_tower":
        return 0, 0
    folder = champion.folders["two_tower"]
    catalog = read_catalog_at(settings, cut_on)
    vectors = catalog_vectors(folder, catalog)
    replace_cut(settings, "gold_item_embeddings", cut_on, item_rows(catalog, vectors, champion, cut_on))
    users = read_cut(settings, "gold_user_features", cut_on, USER_COLUMNS).sort_by("user_id")
    query = tower_query(QueryTower(folder / files.QUERY_TOWER), vectors)
    rows = user_rows(users, catalog.index, query, champion, cut_on)
    replace_cut(settings, "gold_user_embeddings", cut_on, rows)
    return len(catalog.ids), rows.num_rows


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


def user_rows(
    users: pa.Table, index: Mapping[str, int], query: Query, champion: Champion, cut_on: date
) -> pa.Table:
    """One row a user with a known item; times are those of the user's feature row."""
    read = [slots((), items or (), index) for items in users.column("user_last_items").to_pylist()]
    users = users.filter(pa.array([bool(kinds.any()) for _, kinds in read], pa.bool_()))
    queries = [query(positions, kinds) for positions, kinds in read if kinds.any()]
    found = np.array(queries, np.float32).reshape(-1, EMBEDDING_SIZE)
    return pa.table(
        {
            "user_id": users.column("user_id"),
            "user_vector": _vectors(found),
            "user_vector_model": pa.array([champion.model_version] * len(found), pa.string()),
            "cut_on": pa.array([cut_on] * len(found), pa.date32()),
            "event_timestamp": users.column("event_timestamp"),
            "created_timestamp": users.column("created_timestamp"),
        }
    )


def _vectors(vectors: Floats) -> pa.Array:
    """Rows of float32[n, dim] as lists."""
    offsets = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.ravel(), pa.float32()), type=VECTOR)

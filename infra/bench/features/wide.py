"""A Delta table of 40 features, its Feast view, and the hash fields that hold a row of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from feast import Entity, FeatureView, Field
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import String
from feast.value_type import ValueType

from contracts.features import FeatureType
from contracts.online import feature_field, timestamp_field
from feature_repo.definitions import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FEAST_TYPES

VIEW = "wide"
KEY = "entity_id"
SMALL_INTS, LARGE_INTS, TEXTS, LISTS, VECTORS = 13, 13, 6, 7, 1
MOST_IN_LIST = 20
DIMENSIONS = 64
NULLS = 0.05
AT = datetime(2011, 9, 2, 8, tzinfo=UTC)
COLUMNS: dict[str, FeatureType] = {
    **{f"count_{n:02}": FeatureType.INT64 for n in range(SMALL_INTS)},
    **{f"amount_{n:02}": FeatureType.INT64 for n in range(LARGE_INTS)},
    **{f"text_{n}": FeatureType.STRING for n in range(TEXTS)},
    **{f"list_{n}": FeatureType.STRING_LIST for n in range(LISTS)},
    **{f"vector_{n}": FeatureType.FLOAT_LIST for n in range(VECTORS)},
}
FIELDS = (*(feature_field(VIEW, name) for name in COLUMNS), timestamp_field(VIEW))


def key_of(number: int) -> dict[str, str]:
    """The join key of one entity."""
    return {KEY: f"entity-{number}"}


def feature_view(path: Path) -> tuple[Entity, FeatureView]:
    """The view over the table, with its entity: what a store registers."""
    entity = Entity(name=KEY, join_keys=[KEY], value_type=ValueType.STRING)
    columns = [Field(name=name, dtype=FEAST_TYPES[dtype]) for name, dtype in COLUMNS.items()]
    source = SparkSource(
        name=VIEW,
        query=f"select * from delta.`{path}`",
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
    )
    schema = [Field(name=KEY, dtype=String), *columns]
    view = FeatureView(name=VIEW, entities=[entity], ttl=timedelta(days=1), schema=schema, source=source)
    return entity, view


def write_table(path: Path, entities: int, seed: int) -> None:
    """Write the table: one row an entity, all of one instant."""
    write_deltalake(str(path), rows_of(entities, seed), mode="overwrite")


def rows_of(entities: int, seed: int) -> pa.Table:
    """The rows; the same for the same seed."""
    chance = np.random.default_rng(seed)
    make = {
        FeatureType.STRING: _texts,
        FeatureType.STRING_LIST: _lists,
        FeatureType.FLOAT_LIST: _vectors,
    }
    columns = {KEY: pa.array([key_of(number)[KEY] for number in range(entities)])}
    for name, dtype in COLUMNS.items():
        if dtype is FeatureType.INT64:
            columns[name] = _ints(chance, entities, 100 if name.startswith("count") else 2**40)
        else:
            columns[name] = make[dtype](chance, entities)
    times = pa.array([AT] * entities, pa.timestamp("us", "UTC"))
    return pa.table({**columns, EVENT_TIMESTAMP: times, CREATED_TIMESTAMP: times})


def _ints(chance: np.random.Generator, size: int, below: int) -> pa.Array:
    """Amounts may be negative, counts not."""
    least = 0 if below <= 100 else -below
    return pa.array(chance.integers(least, below, size))


def _texts(chance: np.random.Generator, size: int) -> pa.Array:
    pool = pa.array([f"Größe {n}" if n % 7 == 0 else f"segment-{n}" * (n % 3) for n in range(500)])
    return pool.take(pa.array(chance.integers(0, len(pool), size), mask=chance.random(size) < NULLS))


def _lists(chance: np.random.Generator, size: int) -> pa.Array:
    """Up to 20 item ids; some lists are empty, some are null."""
    pool = pa.array([f"{n + 20_000}{'ABC'[n % 3]}" for n in range(5_000)])
    lengths = chance.integers(0, MOST_IN_LIST + 1, size)
    gone = chance.random(size) < NULLS
    lengths[gone] = 0
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    values = pool.take(pa.array(chance.integers(0, len(pool), int(offsets[-1]))))
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(gone))


def _vectors(chance: np.random.Generator, size: int) -> pa.Array:
    values = pa.array(chance.standard_normal(size * DIMENSIONS).astype(np.float32))
    offsets = pa.array(np.arange(0, (size + 1) * DIMENSIONS, DIMENSIONS, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, values)

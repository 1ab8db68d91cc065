"""A table of a feature view's rows in Arrow, as the columns of bytes that go into the online store.

Types that Braid declares are encoded by whole columns; any other type of Feast goes through Feast's own conversion.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from feast import FeatureView
from feast.infra.online_stores.helpers import _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType

from contracts.features import FeatureType
from contracts.online import feature_field, timestamp_field
from feature_repo.arrow_values import (
    Bytes,
    above_tombstones,
    encode_columns,
    encode_keys,
    encode_timestamps,
    encode_versions,
)
from feature_repo.calls import Columns
from feature_repo.encoded import CHOICE, EVENTS_SEEN

DECLARED = {
    ValueType.INT64: FeatureType.INT64,
    ValueType.STRING: FeatureType.STRING,
    ValueType.STRING_LIST: FeatureType.STRING_LIST,
    ValueType.FLOAT_LIST: FeatureType.FLOAT_LIST,
}
MICROSECONDS = pa.timestamp("us")


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What is needed of a feature view to write its rows; it travels to the tasks that write a partition each."""

    project: str
    view: str
    join_keys: tuple[tuple[str, ValueType], ...]
    features: tuple[tuple[str, ValueType], ...]
    timestamp_column: str
    created_column: str | None

    @classmethod
    def of(cls, project: str, view: FeatureView) -> TableLayout:
        """The layout of a registered view.

        Raises:
            ValueError: it has no batch source, so nothing says which column is the time.
        """
        source = view.batch_source
        if source is None:
            raise ValueError(f"the view {view.name} has no batch source")
        return cls(
            project,
            view.name,
            tuple((entity.name, entity.dtype.to_value_type()) for entity in view.entity_columns),
            tuple((feature.name, feature.dtype.to_value_type()) for feature in view.features),
            source.timestamp_field,
            source.created_timestamp_column or None,
        )

    def columns(self, rows: pa.Table | pa.RecordBatch) -> Columns:
        """The rows as bytes.

        Raises:
            ValueError: a column is missing, a time is null, or a value does not have its declared type.
        """
        missing = {name for name, _ in (*self.join_keys, *self.features)} - set(rows.schema.names)
        if missing:
            raise ValueError(f"the rows of {self.view} lack {', '.join(sorted(missing))}")
        times = _micros(self, rows, self.timestamp_column)
        fields = self._fields(rows)
        choice = (
            feature_field(self.view, CHOICE) if any(name == CHOICE for name, _ in self.features) else None
        )
        versions = encode_versions(times, self._second(rows, times))
        return Columns(
            self.view,
            self._keys(rows),
            versions,
            versions if choice is None else above_tombstones(_column(rows, CHOICE).cast(pa.int64())),
            [*fields, (timestamp_field(self.view), encode_timestamps(times))],
            choice,
        )

    def _fields(self, rows: pa.Table | pa.RecordBatch) -> list[tuple[bytes, Bytes]]:
        declared = [(name, DECLARED[kind]) for name, kind in self.features if kind in DECLARED]
        encoded = dict(
            zip(
                (name for name, _ in declared),
                encode_columns([(_column(rows, name), dtype) for name, dtype in declared]),
                strict=True,
            )
        )
        encoded |= {
            name: _by_feast(_column(rows, name), kind) for name, kind in self.features if kind not in DECLARED
        }
        return [(feature_field(self.view, name), encoded[name]) for name, _ in self.features]

    def _second(self, rows: pa.Table | pa.RecordBatch, times: pa.Array) -> pa.Array:
        """The second part of the row version, as `encode_proto_row` has it."""
        if any(name == EVENTS_SEEN for name, _ in self.features):
            return _column(rows, EVENTS_SEEN).cast(pa.int64())
        if self.created_column:
            return _micros(self, rows, self.created_column)
        return pa.array([0] * len(times), pa.int64())

    def _keys(self, rows: pa.Table | pa.RecordBatch) -> Bytes:
        if all(kind is ValueType.STRING for _, kind in self.join_keys):
            return encode_keys([(name, _column(rows, name)) for name, _ in self.join_keys], self.project)
        names = [name for name, _ in self.join_keys]
        values = zip(*(_protos(_column(rows, name), kind) for name, kind in self.join_keys), strict=True)
        keys = (EntityKey(join_keys=names, entity_values=row) for row in values)
        return pa.array([_redis_key(self.project, key, 3) for key in keys], pa.binary())


def _column(rows: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    column = rows.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _micros(layout: TableLayout, rows: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """Epoch microseconds; naive times are UTC, as everywhere in Feast."""
    column = _column(rows, name)
    if column.null_count:
        raise ValueError(f"the rows of {layout.view} have {column.null_count} times without {name}")
    return column.cast(MICROSECONDS, safe=False).cast(pa.int64())


def _by_feast(column: pa.Array, kind: ValueType) -> Bytes:
    return pa.array([value.SerializeToString() for value in _protos(column, kind)], pa.binary())


def _protos(column: pa.Array, kind: ValueType) -> list:  # type: ignore[type-arg] # of Feast's Value
    return python_values_to_proto_values(column.to_numpy(zero_copy_only=False), kind)

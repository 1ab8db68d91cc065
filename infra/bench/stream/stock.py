"""Rows into stock Feast's Redis store, as its own writers hand them over: a protobuf a value."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values

from contracts.clock import from_micros
from contracts.features import CONSENT, SESSION, SHOPPER, View
from contracts.settings import Settings
from feature_repo.definitions import FEAST_TYPES, feature_view
from feature_repo.store import ProtoRow

Row = tuple[str, dict[str, str], int, int, list[Any]]


class StockStore:
    """Feast's `RedisOnlineStore` with the views of the stream."""

    def __init__(self, settings: Settings, project: str) -> None:
        address = f"{settings.host}:{settings.port('redis')}"
        self._config = RepoConfig(
            project=project,
            provider="local",
            registry=str(settings.var / "feast" / f"{project}.db"),
            online_store={"type": "redis", "connection_string": f"{address},db=0"},
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Feast's of its Spark source
            self._views: dict[str, FeatureView] = {
                view.name: feature_view(view, settings) for view in (SESSION, SHOPPER, CONSENT)
            }
        self._store = RedisOnlineStore()

    def write(self, view: View, rows: Sequence[Row]) -> None:
        """Write rows of one view."""
        columns = zip(*(row[4] for row in rows), strict=True)
        values = [
            python_values_to_proto_values(list(column), FEAST_TYPES[feature.dtype].to_value_type())
            for feature, column in zip(view.features, columns, strict=True)
        ]
        made = datetime.now(UTC)
        protos: list[ProtoRow] = [
            (
                _entity(row[1]),
                {f.name: values[n][at] for n, f in enumerate(view.features)},
                from_micros(row[2]),
                made,
            )
            for at, row in enumerate(rows)
        ]
        self._store.online_write_batch(self._config, self._views[view.name], protos, None)


def _entity(key: dict[str, str]) -> EntityKey:
    return EntityKey(join_keys=list(key), entity_values=[Value(string_val=value) for value in key.values()])

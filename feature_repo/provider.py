"""The thin provider: Feast's own, except that tables reach the online store as columns and not as a protobuf a value.

Where the offline store answers with a Spark frame (it does in Braid) each partition is encoded and written by the task that
holds it; the driver sees two numbers a partition, so a table may be larger than its memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark import SparkRetrievalJob
from feast.infra.passthrough_provider import PassthroughProvider
from feast.infra.registry.base_registry import BaseRegistry
from feast.utils import _run_pyarrow_field_mapping

from contracts.logs import RoomLog
from feature_repo.store import VersionedRedisOnlineStore, VersionedRedisOnlineStoreConfig
from feature_repo.tables import TableLayout

log = RoomLog("feature_repo")
COUNTS = "rows bigint, older bigint"


class ColumnProvider(PassthroughProvider):
    """Materialization, push and `write_to_online_store` by columns."""

    def ingest_df(
        self, feature_view: Any, df: pd.DataFrame, field_mapping: dict[str, str] | None = None
    ) -> None:
        """Push and `write_to_online_store` come here."""
        if isinstance(feature_view, OnDemandFeatureView):
            super().ingest_df(feature_view, df, field_mapping)
            return
        source = feature_view.batch_source
        mapping = source.field_mapping if source is not None and source.field_mapping else {}
        table = _run_pyarrow_field_mapping(pa.Table.from_pandas(df, preserve_index=False), mapping)
        self.online_store.write_table(self.repo_config, feature_view, table)

    async def ingest_df_async(
        self, feature_view: Any, df: pd.DataFrame, field_mapping: dict[str, str] | None = None
    ) -> None:
        """The same; stock Feast's own asynchronous write would go past the versions."""
        await asyncio.to_thread(self.ingest_df, feature_view, df, field_mapping)

    def materialize_single_feature_view(  # noqa: PLR0917 (Feast's signature)
        self,
        config: RepoConfig,
        feature_view: Any,
        start_date: datetime,
        end_date: datetime,
        registry: BaseRegistry,
        project: str,
        tqdm_builder: Callable[[int], Any],
        disable_event_timestamp: bool = False,
    ) -> None:
        """The newest rows of the interval; what Feast would transform on the way goes Feast's own way.

        Raises:
            ValueError: a row cannot be encoded; other partitions' rows may have been written, and writing again is harmless.
        """
        if type(feature_view) is not FeatureView or disable_event_timestamp:
            super().materialize_single_feature_view(
                config,
                feature_view,
                start_date,
                end_date,
                registry,
                project,
                tqdm_builder,
                disable_event_timestamp,
            )
            return
        source = feature_view.batch_source
        assert source is not None
        # Of an instant there is one row an entity, or few: the store keeps the newest version, and no table is sorted for it.
        instant = start_date == end_date
        store = self.offline_store
        pull = store.pull_all_from_table_or_query if instant else store.pull_latest_from_table_or_query
        job = pull(
            config=config,
            data_source=source,
            join_key_columns=[entity.name for entity in feature_view.entity_columns],
            feature_name_columns=[feature.name for feature in feature_view.features],
            timestamp_field=source.timestamp_field,
            created_timestamp_column=source.created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
        )
        rows, older = self._write(job, config, TableLayout.of(project, feature_view))
        log("materialized", view=feature_view.name, rows=rows, older=older)

    def _write(self, job: Any, config: RepoConfig, layout: TableLayout) -> tuple[int, int]:
        """(rows set, rows that lost against newer ones)."""
        write = PartitionWriter(layout, config.online_store)
        if isinstance(job, SparkRetrievalJob):
            counts = job.to_spark_df().mapInArrow(write, COUNTS).collect()
            pairs = [(row["rows"], row["older"]) for row in counts]
        else:
            found = (batch.to_pydict() for batch in write(job.to_arrow().to_batches()))
            pairs = [(rows, older) for batch in found for rows, older in zip(*batch.values(), strict=True)]
        return sum(rows for rows, _ in pairs), sum(older for _, older in pairs)


@dataclass(frozen=True, slots=True)
class PartitionWriter:
    """Writes the batches of one partition, in the process that holds them; yields what became of each."""

    layout: TableLayout
    config: VersionedRedisOnlineStoreConfig

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        store = VersionedRedisOnlineStore()
        for batch in batches:
            written = store.write_columns(self.config, self.layout.columns(batch))
            yield pa.RecordBatch.from_pydict({"rows": [written.rows], "older": [written.older]})

"""Feast's Spark offline store with a leaner point-in-time join.

Stock Feast joins each label with every earlier row of its entity and carries all columns through three
evaluations of that join. Here a label and the rows of its entity stand in one line of time, ordered by when each was known,
and the newest row so far is a running maximum over keys and times alone: a shopper's thousand rows meet their
thousand labels in one pass, not in a million pairs. Columns are joined once, by equality, and only of the rows that a
label found. Rows are matched by their keys rather than by the keys' concatenation, so ("a1", "2") and ("a", "12") stay apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.offline_stores import offline_utils
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
    SparkRetrievalJob,
)
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from pyspark.sql import DataFrame

from feature_repo.definitions import CHOICE, PLACE, ROWS

BROADCAST_LABELS = 2_000_000
"""Hashes of the rows that so many labels find fit into a driver's heap (about 60 bytes each); above, Spark sorts them."""

# Feast renders it (Jinja) with one entry of `featureviews` a view.
NEWEST_ROW_JOIN = """
WITH labels AS (SELECT * FROM {{ left_table_query_string }})
{% for view in featureviews %}
{% set keys = view.entities | join(', ') %}
{% set created = 'feature_created' if filter_by_created_timestamp else 'feature_timestamp' %}
{% set row = keys + ', feature_choice, feature_timestamp, feature_created, feature_place' %}
, {{ view.name }}__source AS (
    SELECT {{ view.entity_selections | join(', ') }},
        {{ view.choice }} AS feature_choice,
        {{ view.timestamp_field }} AS feature_timestamp,
        {{ view.created_timestamp_column }} AS feature_created,
        {{ view.place }} AS feature_place
        {% for feature in view.features %}, {{ feature }} AS {{ view.name }}__{{ feature }}{% endfor %}
    FROM {{ view.rows }}
    WHERE {{ view.timestamp_field }} <= TIMESTAMP '{{ view.max_event_timestamp }}'
    {% if view.ttl %}AND {{ view.timestamp_field }} >= TIMESTAMP '{{ view.min_event_timestamp }}'{% endif %}
), {{ view.name }}__moments AS (
    SELECT {{ keys }}, GREATEST(feature_timestamp, {{ created }}) AS moment, FALSE AS is_label,
        STRUCT(feature_choice, feature_timestamp, feature_created, feature_place) AS row
    FROM {{ view.name }}__source
    UNION ALL
    SELECT DISTINCT {{ keys }}, {{ entity_df_event_timestamp_col }}, TRUE, NULL FROM labels
    WHERE {% for key in view.entities %}{{ key }} IS NOT NULL{% if not loop.last %} AND {% endif %}{% endfor %}

), {{ view.name }}__found AS (
    SELECT {{ keys }}, moment AS label_timestamp, newest.*
    FROM (
        SELECT {{ keys }}, moment, is_label, MAX(row) OVER (
            PARTITION BY {{ keys }} ORDER BY moment, is_label ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS newest
        FROM {{ view.name }}__moments
    )
    WHERE is_label AND newest IS NOT NULL
    {% if view.ttl %}AND newest.feature_timestamp >= moment - {{ view.ttl }} * INTERVAL '1' SECOND{% endif %}
), {{ view.name }}__wanted AS (
    SELECT xxhash64({{ row }}) AS wanted FROM {{ view.name }}__found
), {{ view.name }}__rows AS (
    SELECT {% if view.broadcast %}/*+ BROADCAST({{ view.name }}__wanted) */{% endif %} {{ view.name }}__source.*
    FROM {{ view.name }}__source LEFT SEMI JOIN {{ view.name }}__wanted ON xxhash64({{ row }}) = wanted
), {{ view.name }}__joined AS (
    SELECT {{ keys }}, label_timestamp AS {{ entity_df_event_timestamp_col }}
        {% for feature in view.features %}
        , {{ view.name }}__{{ feature }} AS {% if full_feature_names %}{{ view.name }}__{% endif %}{{ feature }}
        {% endfor %}
    FROM {{ view.name }}__found INNER JOIN {{ view.name }}__{{ 'rows' if view.broadcast else 'source' }} USING ({{ row }})
)
{% endfor %}
SELECT {{ final_output_feature_names | join(', ') }}
FROM labels
{% for view in featureviews %}
LEFT JOIN {{ view.name }}__joined USING ({{ view.entities | join(', ') }}, {{ entity_df_event_timestamp_col }})
{% endfor %}
"""


class NewestRowSparkOfflineStoreConfig(SparkOfflineStoreConfig):
    """Feast finds this class by the store's name."""

    type: str = "feature_repo.offline.NewestRowSparkOfflineStore"


class NewestRowSparkOfflineStore(SparkOfflineStore):
    """Historical retrieval for label rows in a Spark frame; all else is stock Feast's."""

    @staticmethod
    def get_historical_features(  # type: ignore[override] # noqa: PLR0917 (Feast's signature)
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: DataFrame,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_: Any,
    ) -> SparkRetrievalJob:
        """Each row of `entity_df` with the newest feature rows as of its `event_timestamp`.

        Raises:
            ValueError: `entity_df` is empty.
        """
        time_column = "event_timestamp"
        labels = offline_utils.get_temp_entity_table_name()
        entity_df.createOrReplaceTempView(labels)
        first, last, count = _span(entity_df, time_column)
        contexts = offline_utils.get_feature_view_query_context(
            feature_refs, feature_views, registry, project, (first, last)
        )
        query = offline_utils.build_point_in_time_query(
            _joined_views(contexts, feature_views, count),
            left_table_query_string=labels,
            entity_df_event_timestamp_col=time_column,
            entity_df_columns=dict.fromkeys(entity_df.columns).keys(),
            query_template=NEWEST_ROW_JOIN,
            full_feature_names=full_feature_names,
            filter_by_created_timestamp=filter_by_created_timestamp,
        )
        keys = [column for column in entity_df.columns if column != time_column]
        return SparkRetrievalJob(
            spark_session=entity_df.sparkSession,
            query=query,
            full_feature_names=full_feature_names,
            config=config,
            metadata=RetrievalMetadata(feature_refs, keys, first, last),
        )


@dataclass(frozen=True)
class JoinedView(offline_utils.FeatureViewQueryContext):
    """What the template needs beside Feast's own context.

    Attributes:
        rows: the table's rows, those of one instant and created time among them.
        place: the column that tells these apart: the greatest holds.
        choice: the column that goes before times: the greatest known holds, however old its row.
        broadcast: whether the wanted rows' hashes are sent to every task.
    """

    rows: str
    place: str
    choice: str
    broadcast: bool


def _joined_views(
    contexts: list[offline_utils.FeatureViewQueryContext], views: list[FeatureView], labels: int
) -> list[offline_utils.FeatureViewQueryContext]:
    sources = {view.projection.name_to_use(): view.batch_source for view in views}  # type: ignore[no-untyped-call]
    joined: list[offline_utils.FeatureViewQueryContext] = []
    for context in contexts:
        tags = getattr(sources[context.name], "tags", {})
        joined.append(
            JoinedView(
                **asdict(context),
                rows=tags.get(ROWS, context.table_subquery),
                place=tags.get(PLACE, "0"),
                choice=tags.get(CHOICE, "0"),
                broadcast=labels <= BROADCAST_LABELS,
            )
        )
    return joined


def _span(entity_df: DataFrame, column: str) -> tuple[datetime, datetime, int]:
    """The first and the last time of the labels, and how many there are."""
    found = entity_df.selectExpr(
        f"MIN({column}) AS first", f"MAX({column}) AS last", "COUNT(*) AS labels"
    ).first()
    if found is None or found["first"] is None:
        raise ValueError("there are no label rows to join features to")
    return found["first"], found["last"], found["labels"]

"""Materialization: the batch views of one cut, from Delta into Redis, through Feast."""

from __future__ import annotations

from feast import FeatureStore

from contracts.cuts import Cut
from contracts.features import VIEWS, Strand
from contracts.settings import Settings
from contracts.tables import table_named


def materialize(store: FeatureStore, settings: Settings, cut: Cut) -> list[str]:
    """Write the rows of `cut` and of no other; a view whose table was never written is left out.

    Returns the names of the views written. Rows of a cut carry its end as their time, so the interval is
    that instant.
    """
    views = [view.name for view in VIEWS if view.strand is Strand.BATCH and _exists(view.table, settings)]
    if views:
        store.materialize(cut.end, cut.end, feature_views=views)
    return views


def _exists(table: str, settings: Settings) -> bool:
    return (table_named(table).path(settings) / "_delta_log").is_dir()

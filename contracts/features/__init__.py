"""Features, declared once: which there are, and what they are (`declare`)."""

from contracts.features.declare import (
    BATCH_VERSION,
    DAY,
    DAY_MICROS,
    STREAM_VERSION,
    WINDOW_VERSION,
    Aggregate,
    ByDay,
    Computed,
    Count,
    CoVisited,
    Derived,
    DistinctCount,
    Feature,
    FeatureType,
    First,
    Last,
    LastK,
    Max,
    Min,
    Request,
    Source,
    Strand,
    Sum,
    Switched,
    TopCount,
    TopK,
    Value,
    View,
    named_in,
)
from contracts.features.derived import DERIVED, derive
from contracts.features.item import ITEM, ITEM_TRENDS
from contracts.features.session import CONSENT, LAST_ITEMS, SESSION
from contracts.features.shopper import SHOPPER
from contracts.features.user import USER, USER_EMBEDDING

EMBEDDING_SIZE = 64
VIEWS = (CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING)
"""The views of the online store."""
EVERY_VIEW = (*VIEWS, ITEM, *ITEM_TRENDS)
"""These and the item side: a table of the lake, and the topic of trends."""
ITEM_FEATURES = ITEM.features
# What training reads of each example and the scorer of each request: one feature service.
FEATURE_SERVICE = "recommendation"
SERVICE_VIEWS = (SESSION, SHOPPER, USER)

__all__ = [
    "BATCH_VERSION",
    "CONSENT",
    "DAY",
    "DAY_MICROS",
    "DERIVED",
    "EMBEDDING_SIZE",
    "EVERY_VIEW",
    "FEATURE_SERVICE",
    "ITEM",
    "ITEM_FEATURES",
    "ITEM_TRENDS",
    "LAST_ITEMS",
    "SERVICE_VIEWS",
    "SESSION",
    "SHOPPER",
    "STREAM_VERSION",
    "USER",
    "USER_EMBEDDING",
    "VIEWS",
    "WINDOW_VERSION",
    "Aggregate",
    "ByDay",
    "CoVisited",
    "Computed",
    "Count",
    "Derived",
    "DistinctCount",
    "Feature",
    "FeatureType",
    "First",
    "Last",
    "LastK",
    "Max",
    "Min",
    "Request",
    "Source",
    "Strand",
    "Sum",
    "Switched",
    "TopCount",
    "TopK",
    "Value",
    "View",
    "derive",
    "named_in",
]

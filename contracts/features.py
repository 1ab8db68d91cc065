"""Features, declared once: name, meaning, type, entity, events, aggregate, default, freshness, purpose.

From a declaration come the Spark expression and the Flink SQL (`contracts.feature_sql`) and the Feast fields
(`feature_repo`). Every stored feature is a function of the *set* of events; money and times are integers,
lists are ordered by (event_time, event_id), newest first. The idea of Chronon and Tecton, with stock engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FeatureType(StrEnum):
    INT64 = "int64"
    STRING = "string"
    STRING_LIST = "string_list"
    FLOAT_LIST = "float_list"


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the events."""


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a column over the events; 0 over none."""

    column: str


@dataclass(frozen=True, slots=True)
class Min:
    column: str


@dataclass(frozen=True, slots=True)
class Max:
    column: str


@dataclass(frozen=True, slots=True)
class LastK:
    """The column of the newest `k` events by (event_time, event_id), newest first."""

    column: str
    k: int


@dataclass(frozen=True, slots=True)
class Computed:
    """Not an aggregate of events: a model's or a job's output, named in the description."""


Aggregate = Count | Sum | Min | Max | LastK | Computed
Value = int | str | list[str] | list[float] | None


@dataclass(frozen=True, slots=True)
class Feature:
    """One stored feature.

    Attributes:
        events: names of the events it aggregates; empty means all of the view.
        days: trailing days to the cut, for batch views; 0 means the whole scope of the view.
        default: what a missing row reads as.
    """

    name: str
    description: str
    dtype: FeatureType
    aggregate: Aggregate
    events: tuple[str, ...] = ()
    days: int = 0
    default: Value = 0


class Strand(StrEnum):
    BATCH = "batch"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class View:
    """The features of one entity, written by one strand.

    Attributes:
        join_keys: the entity's columns.
        freshness_seconds: older rows are stale and the reader says so.
        purpose: what must be granted for the row to be read; None for the consent view itself.
        version: the two integer columns of the row version; the greater one wins, then the second.
        table: the Delta table with the view's history (offline source).
    """

    name: str
    strand: Strand
    join_keys: tuple[str, ...]
    features: tuple[Feature, ...]
    freshness_seconds: int
    purpose: str | None
    version: tuple[str, str]
    table: str

    def __hash__(self) -> int:
        """By name, which is unique: views key caches on the scorer's path, and a deep hash costs more than a read."""
        return hash(self.name)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def stored_columns(self) -> tuple[tuple[str, FeatureType], ...]:
        """What a row of the view carries beside its keys and times: features, then what versions and consent need."""
        extra = [(name, FeatureType.INT64) for name in self.carried]
        return (*((f.name, f.dtype) for f in self.features), *extra)

    @property
    def carried(self) -> tuple[str, ...]:
        """Integer columns beside the features: `events_seen` of stream rows, the session's consent."""
        if self.strand is Strand.BATCH:
            return ()
        return ("events_seen",) if self.purpose is None else ("events_seen", "consent_changed_at")


DAY = 24 * 3600
ITEM_TOUCHES = ("view_item", "select_item", "add_to_cart")
STREAM_VERSION = ("newest_event_time", "events_seen")
BATCH_VERSION = ("event_timestamp", "created_timestamp")
LAST_ITEMS = 20
EMBEDDING_SIZE = 64


def _count(name: str, what: str, *events: str, days: int = 0) -> Feature:
    return Feature(name, f"Number of {what}", FeatureType.INT64, Count(), events, days)


CONSENT = View(
    name="consent",
    strand=Strand.STREAM,
    join_keys=("shopper_id",),
    features=(
        Feature(
            "consent_state",
            "Newest choice, encoded by contracts.consent",
            FeatureType.STRING,
            Max("consent_state"),
            default=None,
        ),
    ),
    freshness_seconds=400 * DAY,
    purpose=None,
    version=STREAM_VERSION,
    table="gold_consent",
)
SESSION = View(
    name="session",
    strand=Strand.STREAM,
    join_keys=("visitor_id", "session_id"),
    features=(
        _count("session_items_viewed", "product views", "view_item"),
        _count("session_carts", "additions to the cart", "add_to_cart"),
        _count("session_cart_removals", "removals from the cart", "remove_from_cart"),
        _count("session_searches", "searches", "search"),
        _count("session_purchases", "purchases", "purchase"),
        Feature(
            "session_carted_minor",
            "Value added to the cart, minor units",
            FeatureType.INT64,
            Sum("value_minor"),
            ("add_to_cart",),
        ),
        Feature(
            "session_removed_minor",
            "Value removed from the cart, minor units",
            FeatureType.INT64,
            Sum("value_minor"),
            ("remove_from_cart",),
        ),
        Feature(
            "session_last_items",
            "Items viewed, selected or carted, newest first",
            FeatureType.STRING_LIST,
            LastK("item_id", LAST_ITEMS),
            ITEM_TOUCHES,
            default=None,
        ),
        Feature(
            "session_last_carted",
            "Items added to the cart, newest first",
            FeatureType.STRING_LIST,
            LastK("item_id", 50),
            ("add_to_cart",),
            default=None,
        ),
        Feature(
            "session_last_searches",
            "Search terms, newest first",
            FeatureType.STRING_LIST,
            LastK("search_term", 5),
            ("search",),
            default=None,
        ),
        Feature(
            "session_first_event_at",
            "Time of the first event, µs",
            FeatureType.INT64,
            Min("event_time"),
            default=None,
        ),
        Feature(
            "session_last_event_at",
            "Time of the newest event, µs",
            FeatureType.INT64,
            Max("event_time"),
            default=None,
        ),
    ),
    freshness_seconds=3600,
    purpose="personalization",
    version=STREAM_VERSION,
    table="gold_session_features",
)
USER = View(
    name="user",
    strand=Strand.BATCH,
    join_keys=("user_id",),
    features=(
        _count("user_purchases_30d", "purchases in 30 days", "purchase", days=30),
        _count("user_purchases_90d", "purchases in 90 days", "purchase", days=90),
        _count("user_refunds_90d", "refunds in 90 days", "refund", days=90),
        _count("user_carts_90d", "additions to the cart in 90 days", "add_to_cart", days=90),
        Feature(
            "user_spend_minor_90d",
            "Value of the purchases in 90 days, minor units",
            FeatureType.INT64,
            Sum("value_minor"),
            ("purchase",),
            90,
        ),
        Feature(
            "user_last_purchase_at",
            "Time of the newest purchase, µs",
            FeatureType.INT64,
            Max("event_time"),
            ("purchase",),
            default=None,
        ),
        Feature(
            "user_first_seen_at",
            "Time of the first event, µs",
            FeatureType.INT64,
            Min("event_time"),
            default=None,
        ),
        Feature(
            "user_last_items",
            "Items viewed or carted in 90 days, newest first",
            FeatureType.STRING_LIST,
            LastK("item_id", 30),
            ITEM_TOUCHES,
            90,
            default=None,
        ),
    ),
    freshness_seconds=7 * DAY,
    purpose="personalization",
    version=BATCH_VERSION,
    table="gold_user_features",
)
USER_EMBEDDING = View(
    name="user_embedding",
    strand=Strand.BATCH,
    join_keys=("user_id",),
    features=(
        Feature(
            "user_vector",
            "The query tower's vector of the user at the cut (models embed)",
            FeatureType.FLOAT_LIST,
            Computed(),
            default=None,
        ),
        Feature(
            "user_vector_model",
            "The model version that made the vector",
            FeatureType.STRING,
            Computed(),
            default=None,
        ),
    ),
    freshness_seconds=7 * DAY,
    purpose="personalization",
    version=BATCH_VERSION,
    table="gold_user_embeddings",
)
VIEWS = (CONSENT, SESSION, USER, USER_EMBEDDING)

# Item features are columns of the snapshot that the scorer holds in memory, not rows of the online store.
ITEM_FEATURES = (
    _count("item_views_30d", "product views in 30 days", "view_item", days=30),
    _count("item_carts_30d", "additions to the cart in 30 days", "add_to_cart", days=30),
    _count("item_purchases_30d", "purchases in 30 days", "purchase", days=30),
    _count("item_refunds_90d", "refunds in 90 days", "refund", days=90),
    Feature(
        "item_first_seen_at",
        "Time of the first event, µs",
        FeatureType.INT64,
        Min("event_time"),
        default=None,
    ),
)

# What training reads of each example and the scorer of each request: one feature service.
FEATURE_SERVICE = "recommendation"
SERVICE_VIEWS = (SESSION, USER)

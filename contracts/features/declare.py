"""What a feature is: the words in which `contracts.features` declares every one.

A *stored* feature is a pure aggregate of a set of events, a *derived* one a pure function of stored values, the
request and now. From a stored feature come the Spark expression and the Flink SQL (`contracts.feature_sql`), the Feast
field (`feature_repo`), the plain Python reference (`contracts.accumulators`) and the page `docs/features.md`. The idea
of Chronon and Tecton, with stock engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FeatureType(StrEnum):
    INT64 = "int64"
    STRING = "string"
    STRING_LIST = "string_list"
    FLOAT_LIST = "float_list"
    FLOAT64 = "float64"
    """Of derived features alone: an aggregate is an integer, so that engines agree to the last digit."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the events; with a column, how many that have it."""

    column: str | None = None


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
class DistinctCount:
    """How many different values of a column."""

    column: str


@dataclass(frozen=True, slots=True)
class First:
    """The column of the oldest event, by (event_time, event_id), that has it."""

    column: str


@dataclass(frozen=True, slots=True)
class Last:
    """The column of the newest event, by (event_time, event_id), that has it."""

    column: str


@dataclass(frozen=True, slots=True)
class LastK:
    """The column of the newest `k` events by (event_time, event_id), newest first.

    Two devices of a shopper may share both: then the greater value is the newer one, so that arrival decides nothing.
    """

    column: str
    k: int


@dataclass(frozen=True, slots=True)
class TopK:
    """The `k` most frequent values of a column, most frequent first; of equally frequent ones the smaller first."""

    column: str
    k: int


@dataclass(frozen=True, slots=True)
class TopCount:
    """How often the most frequent value of a column occurs; 0 without any."""

    column: str


@dataclass(frozen=True, slots=True)
class ByDay:
    """`YYYY-MM-DD=n` of the `days` UTC days that end with the day of the view's newest event, newest first.

    `n` sums the column over the feature's events of that day (without a column it counts them); days of 0 are left out.
    """

    days: int
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Switched:
    """Of the `k` values that were set last, those whose newest setting is `on`; newest first.

    Attributes:
        column: what is switched; `switch` is the column that says how.
        clears: what `switch` says where all that was set before is forgotten; it counts as a value of its own, the empty one.
    """

    column: str
    switch: str
    on: str
    clears: str
    k: int


@dataclass(frozen=True, slots=True)
class CoVisited:
    """The `k` entities met in most of the sessions that met this one, within each session's newest `per_session`."""

    k: int
    per_session: int


@dataclass(frozen=True, slots=True)
class Computed:
    """Not an aggregate of events: a model's or a job's output, named in the description."""


Aggregate = (
    Count | Sum | Min | Max | DistinctCount | First | Last | LastK | TopK | TopCount | ByDay | Switched | CoVisited | Computed
)  # fmt: skip
Value = int | str | float | list[str] | list[float] | None


class Source(StrEnum):
    """What a feature aggregates."""

    EVENTS = "events"
    ITEMS = "items"
    """Each event once for every different item that it names."""
    CATALOG = "catalog"
    """Catalog updates, by effective_time."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One stored feature.

    Attributes:
        events: names of the events it aggregates; empty means all of the view.
        where: (column, value) pairs that an event must have beside.
        days: trailing days to the cut, for batch views; 0 means the whole scope of the view.
        default: what it is without any event, and what a missing row reads as.
    """

    name: str
    description: str
    dtype: FeatureType
    aggregate: Aggregate
    events: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    days: int = 0
    default: Value = 0
    source: Source = Source.EVENTS

    def __post_init__(self) -> None:
        """Refuse what one engine could not compute: the newest and the commonest are taken of text alone.

        Raises:
            TypeError: the aggregate takes text, and `dtype` says otherwise.
        """
        text = isinstance(self.aggregate, First | Last)
        texts = isinstance(self.aggregate, LastK | TopK)
        if (text and self.dtype is not FeatureType.STRING) or (
            texts and self.dtype is not FeatureType.STRING_LIST
        ):
            raise TypeError(
                f"{self.name}: {type(self.aggregate).__name__} takes text, and {self.dtype} is declared"
            )


class Strand(StrEnum):
    BATCH = "batch"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class View:
    """The features of one entity, written by one strand.

    Attributes:
        scope: which events a row is made of, in words.
        join_keys: the entity's columns.
        freshness_seconds: older rows are stale and the reader says so.
        purpose: what must be granted for a row to be made and read; None for the consent view itself.
        version: the two integer columns of the row version; the greater one wins, then the second.
        table: the Delta table with the view's history (offline source).
        source: what the rows aggregate; a feature may name another.
        window_minutes: of a view of event-time windows, how long one is; `slide_minutes`: how often one ends, which divides it.
        least_events: a window that saw fewer events of an entity has no row of it.
    """

    name: str
    scope: str
    strand: Strand
    join_keys: tuple[str, ...]
    features: tuple[Feature, ...]
    freshness_seconds: int
    purpose: str | None
    version: tuple[str, str]
    table: str
    source: Source = Source.EVENTS
    window_minutes: int = 0
    slide_minutes: int = 0
    least_events: int = 1

    def __post_init__(self) -> None:
        if self.window_minutes and (self.slide_minutes < 1 or self.window_minutes % self.slide_minutes):
            raise ValueError(
                f"{self.name}: {self.slide_minutes} minutes do not divide windows of {self.window_minutes}"
            )
        if self.least_events < 1 or (self.least_events > 1 and not self.window_minutes):
            raise ValueError(f"{self.name}: {self.least_events} events are no least of a window")

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
    def starts_empty(self) -> bool:
        """Whether a new choice about consent begins a new row: `consent_changed_at` is part of the group key."""
        return self.strand is Strand.STREAM and self.purpose == "personalization"

    @property
    def carried(self) -> tuple[str, ...]:
        """Integer columns beside the features: `events_seen` of stream rows, and the consent they were made under."""
        if self.strand is Strand.BATCH:
            return ()
        return ("events_seen", "consent_changed_at") if self.starts_empty else ("events_seen",)


@dataclass(frozen=True, slots=True)
class Request:
    """What a derived feature may know of the request, and the moment it is computed for.

    Attributes:
        now: epoch µs: the request's time when serving, the label's in training.
    """

    now: int
    device: str | None = None
    channel: str | None = None
    country: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived feature: a pure function of stored values (None where there is no row) and the request.

    Attributes:
        inputs: the stored columns it reads; `function` gets a row that has at least these.
        default: what it is where its inputs say nothing.
    """

    name: str
    description: str
    dtype: FeatureType
    function: Callable[[Mapping[str, Any], Request], Value]
    inputs: tuple[str, ...] = ()
    default: Value = None


DAY = 24 * 3600
DAY_MICROS = DAY * 1_000_000
STREAM_VERSION = ("newest_event_time", "events_seen")
BATCH_VERSION = ("event_timestamp", "created_timestamp")
WINDOW_VERSION = ("window_end", "events_seen")
NAMED_AT = "the time, µs, then the ids of its first 50 items, one a line"
"""How `named_at` says what an event names (`named_in`)."""
ITEM_TOUCHES = ("view_item", "select_item", "add_to_cart")


def named_in(value: str) -> tuple[int, list[str]]:
    """When an event was, epoch µs, and the items that it names, of `named_at`."""
    at, *items = value.split("\n")
    return int(at), items


def count(name: str, what: str, *events: str, days: int = 0, source: Source = Source.EVENTS) -> Feature:
    """`Number of <what>`."""
    return Feature(name, f"Number of {what}", FeatureType.INT64, Count(), events, days=days, source=source)


def total(name: str, what: str, column: str, *events: str, days: int = 0) -> Feature:
    """`<what>`, the sum of a column."""
    return Feature(name, what, FeatureType.INT64, Sum(column), events, days=days)


def number(name: str, what: str, aggregate: Aggregate, *events: str, days: int = 0) -> Feature:
    """`<what>`, 0 without any event."""
    return Feature(name, what, FeatureType.INT64, aggregate, events, days=days)


def listed(name: str, what: str, aggregate: Aggregate, *events: str, days: int = 0) -> Feature:
    """A list of strings; None where it would be empty."""
    return Feature(name, what, FeatureType.STRING_LIST, aggregate, events, days=days, default=None)


def one(
    name: str, what: str, dtype: FeatureType, aggregate: Aggregate, *events: str, days: int = 0
) -> Feature:
    """One value of the events, None without any."""
    return Feature(name, what, dtype, aggregate, events, days=days, default=None)

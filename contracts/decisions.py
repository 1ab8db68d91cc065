"""What the scorer decided, with the rows it used: serving and training can be compared exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, cast

import msgspec
from msgspec import Meta

from contracts.events import EVENT_FIELDS
from contracts.features import Request, Value, derive

Plain = int | float | str | None
"""What a derived feature is."""

# `$(?!\n)`: Python's `$` alone lets a trailing newline pass; this form reads the same in JSON Schema.
# Surrogates stand in no UTF-8 text, so no key of a store could be made of them.
NO_CONTROL = r"^[^\x00-\x1f\x7f\ud800-\udfff]+$(?!\n)"


def _as_event(column: str) -> Meta:
    """The limits of an event's field, for what a request says of the same thing."""
    [field] = (field for field in EVENT_FIELDS if field.name == column)
    return Meta(min_length=1, max_length=field.max_length, pattern=NO_CONTROL)


Device = Annotated[str, _as_event("context_device")]
Channel = Annotated[str, _as_event("context_channel")]
Country = Annotated[str, _as_event("context_country")]
Campaign = Annotated[str, _as_event("context_campaign")]


class Context(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request says of the visit, as events say it in `context`."""

    device: Device | None = None
    channel: Channel | None = None
    country: Country | None = None
    campaign: Campaign | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A feature row as it was read.

    `version` is the row version: (newest event_time µs, events_seen) of a stream row, (cut µs,
    published_at µs) of a batch row. `found` is False when the store had none and defaults were used.
    """

    view: str
    key: dict[str, str]
    found: bool
    version: tuple[int, int] | None
    age_seconds: float | None
    features: dict[str, int | str | list[str] | None]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One recommended item; `rules` are those of the policy that moved it."""

    item_id: str
    score: float
    source: str
    reasons: list[str]
    rules: list[str] = []


class Degraded(msgspec.Struct, frozen=True, kw_only=True):
    """Which rung of the ladder the answer stood on; level 0 is the full path."""

    level: int
    rung: str
    cause: str | None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the scorer; without consent for personalization it names no visitor, user or session.

    `derived` are the derived features at `decided_at`, of `rows` and `context` alone (`derived_of`).
    """

    decision_id: str
    decided_at: int
    placement: str
    visitor_id: str | None
    user_id: str | None
    session_id: str | None
    results: list[Result]
    model_version: str
    degraded: Degraded
    rows: list[Row]
    context: Context
    derived: dict[str, Plain]


def derived_of(rows: Iterable[Row], context: Context, at_micros: int) -> dict[str, Plain]:
    """Every derived feature, of the rows that may be used; of the request alone where there is none.

    Args:
        at_micros: now: when it is decided.

    Raises:
        ValueError: a stored value is not of the form that its aggregate writes; TypeError, IndexError likewise.
    """
    stored: dict[str, Value] = {}
    for row in rows:
        stored.update(row.features)
    said = (context.device, context.channel, context.country, context.campaign)
    return cast("dict[str, Plain]", derive(stored, Request(at_micros, *said)))

"""What the scorer decided, with the rows it used: serving and training can be compared exactly."""

from __future__ import annotations

import msgspec


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
    """One recommended item."""

    item_id: str
    score: float
    source: str
    reasons: list[str]


class Degraded(msgspec.Struct, frozen=True, kw_only=True):
    """Which rung of the ladder the answer stood on; level 0 is the full path."""

    level: int
    rung: str
    cause: str | None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the scorer; without consent for personalization it names no visitor, user or session."""

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

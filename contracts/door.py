"""The door: raw bytes become a flat event for `events`, or a rejection that keeps them.

The gateway, the scorer's `/v1/events` and the adapters use this one function, so that what is an event is
decided once. Nothing that a sender can put into a record raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from contracts.clock import to_rfc3339
from contracts.errors import UNREADABLE
from contracts.events import Verdict, read_event
from contracts.fields import Violation
from contracts.rejections import Rejection, reason_of

MAX_RECORD_BYTES = 512 * 1024
"""Far above the largest event (1,000 items with every field set)."""
MAX_VIOLATIONS_KEPT = 50
"""Of one rejection, so that a record of a thousand broken items still fits into a message."""


class Admitted(msgspec.Struct, frozen=True):
    """A valid event: the key and value of its record in `events`, and the flat event itself."""

    key: str
    value: bytes
    event: dict[str, Any]


def admit(raw: bytes, source: str, position: str, at: datetime) -> Admitted | Rejection:
    """Decide on one record as it came.

    Args:
        source: the topic or file it came from.
        position: the partition/offset or line in `source`.
        at: when it is decided, kept in a rejection.
    """
    if len(raw) > MAX_RECORD_BYTES:
        rule = f"at most {MAX_RECORD_BYTES} bytes"
        return reject(raw, [Violation("", f"{len(raw)} bytes", rule)], source, position, at)
    try:
        record = msgspec.json.decode(raw)
    except UNREADABLE as error:
        shown = raw[:200].decode("utf-8", "replace")
        return reject(raw, [Violation("", shown, _decoding_rule(error))], source, position, at)
    return admit_record(record, source, position, at, raw)


def admit_record(
    record: object, source: str, position: str, at: datetime, original: bytes = b""
) -> Admitted | Rejection:
    """Decide on one wire record that is already decoded; `original` is what a rejection keeps."""
    try:
        verdict = read_event(record)
        value = b"" if verdict.event is None else msgspec.json.encode(verdict.event)
    except RecursionError:
        verdict, value = _refused("nested too deep"), b""
    except UnicodeEncodeError:
        verdict, value = _refused("text without lone surrogates"), b""
    if verdict.event is None:
        return reject(original, verdict.violations, source, position, at)
    return Admitted(verdict.event["visitor_id"], value, verdict.event)


def reject(
    original: bytes, violations: Sequence[Violation], source: str, position: str, at: datetime
) -> Rejection:
    """A rejection that is counted by its first violation and keeps the record's own bytes."""
    return Rejection(
        source=source,
        position=position,
        reason=reason_of(violations),
        violations=list(violations[:MAX_VIOLATIONS_KEPT]),
        original=original,
        rejected_at=to_rfc3339(at),
    )


def _refused(rule: str) -> Verdict:
    return Verdict(None, (Violation("", "", rule),))


def _decoding_rule(error: Exception) -> str:
    """One of few labels: rejections are counted by them."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return "UTF-8" if isinstance(error, UnicodeDecodeError) else "a JSON object"

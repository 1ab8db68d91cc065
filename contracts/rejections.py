"""What was refused at the door: the original bytes, every reason, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contracts.fields import Violation


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """One refused record.

    `source` names the topic or file, `position` the partition/offset or line in it; `original` is the
    record's own bytes (base64 in JSON).
    """

    source: str
    position: str
    reason: str
    violations: list[Violation]
    original: bytes
    rejected_at: str


def reason_of(violations: Sequence[Violation]) -> str:
    """The label a rejection is counted by: the first violation's field and rule."""
    first = violations[0]
    return f"{first.field or 'record'}: {first.rule}"

"""Where each raw record goes: the pure core of the gateway."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from contracts.door import Admitted, admit
from contracts.rejections import Rejection
from contracts.settings import TOPICS

PLACE_IN_LIST = re.compile(r"\[\d+\]")


class Routed(msgspec.Struct, frozen=True):
    """One record on its way out; `reason` is None for an admitted event."""

    topic: str
    key: str
    value: bytes
    reason: str | None


def route(raw: bytes | None, source: str, partition: int, offset: int, at: datetime) -> Routed:
    """Admitted events go to `events` by visitor, the rest to `rejected_events` by where it came from."""
    outcome = admit(raw or b"", source, f"{partition}/{offset}", at)
    if isinstance(outcome, Admitted):
        return Routed(TOPICS.events, outcome.key, outcome.value, None)
    return Routed(
        TOPICS.rejected_events,
        f"{source}/{partition}/{offset}",
        msgspec.json.encode(outcome),
        reason_label(outcome),
    )


def reason_label(rejection: Rejection) -> str:
    """The reason without the place in a list, so that few label values count all rejections."""
    return PLACE_IN_LIST.sub("[]", rejection.reason)

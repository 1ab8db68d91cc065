"""Repairs, pure: declared edits of a refused record, and whether it then passes the door."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from contracts.clock import to_rfc3339
from contracts.door import Admitted, admit_record
from contracts.errors import UNREADABLE
from infra import paths
from infra.deadletters.letters import Letter
from infra.gateway.routing import reason_label

NOT_JSON = "no JSON object: repair it by hand"


@dataclass(frozen=True, slots=True)
class Edits:
    """What is done to each record, in this order; a path is as in `infra.paths`, `items.*.price`."""

    drop: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    replace: tuple[tuple[str, str, str], ...] = ()
    """(path, regular expression, text) of strings."""
    put: tuple[tuple[str, Any], ...] = ()

    def apply(self, record: dict[str, Any]) -> dict[str, Any]:
        """A repaired copy."""
        done = copy.deepcopy(record)
        for path in self.drop:
            paths.drop(done, path)
        for old, new in self.rename:
            for value in paths.values(done, old):
                paths.put(done, new, value)
            paths.drop(done, old)
        for path, pattern, text in self.replace:
            paths.change(done, path, partial(_replaced, re.compile(pattern), text))
        for path, value in self.put:
            paths.put(done, path, value)
        return done


def _replaced(pattern: re.Pattern[str], text: str, value: Any) -> Any:
    return pattern.sub(text, value) if isinstance(value, str) else value


class Repaired(msgspec.Struct, frozen=True):
    """One repaired record, a line of a repair file; `origin` is the place of the letter it was made from."""

    origin: str
    event_id: str
    record: dict[str, Any]


@dataclass(slots=True)
class Outcome:
    """What the edits would do: records that then pass the door, and the reasons of those that still do not."""

    passing: list[Repaired] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def repair(letters: Iterable[Letter], edits: Edits, received_at: datetime | None) -> Outcome:
    """Edit every letter and put it through the door.

    Args:
        received_at: becomes the received_time, for no earlier cut or answer could know a record that was not admitted;
            None keeps the record's own, for a cut that is run again.
    """
    outcome = Outcome()
    for letter in letters:
        record = decoded(letter.rejection.original)
        if record is None:
            outcome.refused[NOT_JSON] += 1
            continue
        done = edits.apply(record)
        if received_at is not None:
            done["received_time"] = to_rfc3339(received_at)
        decision = admit_record(
            done, "repair", letter.place, received_at or datetime.fromisoformat(letter.rejection.rejected_at)
        )
        if isinstance(decision, Admitted):
            outcome.passing.append(Repaired(letter.place, decision.event["event_id"], done))
        else:
            outcome.refused[reason_label(decision)] += 1
    return outcome


def decoded(original: bytes) -> dict[str, Any] | None:
    """The refused record, where it is a JSON object."""
    try:
        record = msgspec.json.decode(original)
    except UNREADABLE:
        return None
    return record if isinstance(record, dict) else None

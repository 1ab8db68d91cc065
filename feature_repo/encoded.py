"""What is written into the online store: encoded rows, and tombstones of rows that are taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.online import decode_value, feature_field, tombstone_version

CHOICE = "consent_changed_at"
EVENTS_SEEN = "events_seen"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a row that a withdrawal takes away.

    Attributes:
        version: rows up to it never land again; where `choice` is None the version held stays if it is greater.
        fields: the hash fields to remove, beside the timestamp.
        choice: field and encoded value of the choice that withdraws: rows made under a later one stay, and they alone
            land again. None for views whose rows do not say under which choice they were made.
    """

    key: bytes
    view: str
    version: tuple[int, int]
    fields: tuple[bytes, ...]
    choice: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row as it goes into its hash: `fields` holds the values and the timestamp, not the version."""

    key: bytes
    view: str
    version: tuple[int, int]
    fields: Mapping[bytes, bytes]

    @property
    def choice(self) -> tuple[bytes, bytes] | None:
        """Field and encoded value of the choice it was made under; None where the view's rows do not say."""
        field = feature_field(self.view, CHOICE)
        return (field, self.fields[field]) if field in self.fields else None

    @property
    def above_tombstone(self) -> tuple[int, int]:
        """It lands on tombstones of smaller versions than this: by its choice, else by its version."""
        if self.choice is None:
            return self.version
        chosen = decode_value(self.choice[1])
        return tombstone_version(max(0, chosen) if isinstance(chosen, int) else 0)

"""What a model is asked: histories with the item that came next, whatever data set they are from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
NO_ITEM = -1


class Cases(Protocol):
    """One question a row. Items are numbers 0 … items-1.

    Attributes:
        positions: int32[n, slots], the items known before, newest first, -1 where a slot is empty.
        labels: int32[n], the item that came next.
        shoppers: int32[n], whom the question is of; a shopper's questions are not independent of each other.
    """

    @property
    def positions(self) -> Ints: ...
    @property
    def labels(self) -> Ints: ...
    @property
    def shoppers(self) -> Ints: ...
    def __len__(self) -> int: ...
    def where(self, mask: Any) -> Self:
        """The rows that a mask or a slice names."""
        ...

    def excluded(self) -> tuple[Longs, Longs]:
        """Rows and items that are no candidates of those rows."""
        ...


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of items, oldest first: row n is `values[offsets[n]:offsets[n + 1]]`."""

    values: Ints
    offsets: Longs

    @classmethod
    def of(cls, rows: list[list[int]]) -> Ragged:
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(np.array([item for row in rows for item in row], np.int32), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Longs:
        found: Longs = np.diff(self.offsets)
        return found

    @property
    def rows(self) -> Longs:
        """int64[len(values)]: the row of each value."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def where(self, rows: Any) -> Ragged:
        """The rows that a mask or a slice names."""
        kept = np.arange(len(self))[rows]
        lengths = self.lengths[kept]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.offsets[kept] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.values[places], offsets)

    def until(self, dropped: int) -> Ragged:
        """Each row without its last `dropped` values."""
        lengths = np.maximum(self.lengths - dropped, 0)
        kept = np.arange(len(self.values)) < np.repeat(self.offsets[:-1] + lengths, self.lengths)
        return Ragged(self.values[kept], np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def from_end(self, number: int) -> Ints:
        """int32[rows]: the value `number` places before the end, 1 the last; -1 where a row is shorter."""
        there = self.lengths >= number
        found = np.full(len(self), NO_ITEM, np.int32)
        found[there] = self.values[(self.offsets[1:] - number)[there]]
        return found

    def newest(self, slots: int) -> Ints:
        """int32[rows, slots]: the last values, newest first, -1 beyond them."""
        found = np.full((len(self), slots), NO_ITEM, np.int32)
        places = self.offsets[1:, None] - 1 - np.arange(slots)[None, :]
        there = places >= self.offsets[:-1, None]
        found[there] = self.values[places[there]]
        return found

    def prefixes(self) -> tuple[Ragged, Ints, Longs]:
        """Every row's non-empty prefixes with the value that follows each, and the row it is of."""
        lengths = self.lengths
        asked = np.maximum(lengths - 1, 0)
        of_row: Longs = np.repeat(np.arange(len(self)), asked)
        sizes: Longs = np.arange(len(of_row)) - np.repeat(np.cumsum(asked) - asked, asked) + 1
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        places = np.repeat(self.offsets[of_row] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Ragged(self.values[places], offsets), self.values[self.offsets[of_row] + sizes], of_row


@dataclass(frozen=True, slots=True)
class NextItem:
    """Cases of a public data set.

    Attributes:
        masks_history: whether what a shopper had before is no candidate (leave one out), or may come again (clicks).
    """

    histories: Ragged
    labels: Ints
    shoppers: Ints
    masks_history: bool
    slots: int = 50

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def positions(self) -> Ints:
        return self.histories.newest(self.slots)

    def where(self, mask: Any) -> NextItem:
        return NextItem(
            self.histories.where(mask), self.labels[mask], self.shoppers[mask], self.masks_history, self.slots
        )

    def excluded(self) -> tuple[Longs, Longs]:
        if not self.masks_history:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing
        return self.histories.rows, self.histories.values.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Interactions:
    """What models learn from: one row an item that a session took, in the order of time.

    Attributes:
        sessions: int32[m], a number for each session (or shopper), the later the greater.
        days: int32[m], a day number; all 0 where the data set does not say.
    """

    sessions: Ints
    items: Ints
    days: Ints

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, sequences: Ragged, days: Ints | None = None) -> Interactions:
        return cls(
            sequences.rows.astype(np.int32),
            sequences.values,
            np.zeros(len(sequences.values), np.int32) if days is None else days,
        )

    def where(self, mask: Mask) -> Interactions:
        return Interactions(*(getattr(self, part.name)[mask] for part in fields(self)))

    def counts(self, items: int) -> Floats:
        """float32[items]: how often each was taken."""
        return np.bincount(self.items, minlength=items).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A public data set under its published protocol.

    Attributes:
        train: what models of the test learn from; `tuning_train` what those of the validation do.
        measures: what is reported, by key: (recall, ndcg or reciprocal; k). Searches maximize the last.
        published: figures of other people's models, by model and key.
        attributes: of each item the numbers of its attributes (brand, category), 1 …; none where there are none.
    """

    name: str
    items: int
    tuning_train: Ragged
    validation: NextItem
    train: Ragged
    test: NextItem
    measures: Mapping[str, tuple[str, int]]
    published: Mapping[str, Mapping[str, float]]
    attributes: Ragged | None = None


AnyCases = TypeVar("AnyCases", bound=Cases)


def chunks(cases: AnyCases, size: int) -> Iterator[AnyCases]:
    """The cases, `size` rows at a time."""
    for start in range(0, len(cases), size):
        yield cases.where(slice(start, start + size))

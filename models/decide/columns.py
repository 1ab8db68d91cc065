"""Texts of a catalog as arrays, so that they lie in files that every worker maps and none copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, overload

import numpy as np
import numpy.typing as npt

from models.decide.scored import Ints

NOTHING = -1


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Sequence[str]):
    """Texts that differ: their bytes uint8 one after the other, and where each ends, int64[n]."""

    letters: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return [self[n] for n in range(*row.indices(len(self)))]
        start = int(self.ends[row - 1]) if row else 0
        return self.letters[start : int(self.ends[row])].tobytes().decode()


@dataclass(frozen=True, slots=True, eq=False)
class Coded(Sequence[str | None]):
    """Texts of which many are the same: which of `values` each is, int32[n], NOTHING where there is none."""

    codes: Ints
    values: Sequence[str]

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Self:
        """The values in the order of their text."""
        if isinstance(texts, cls):
            return texts
        found = list(texts)
        values = sorted({text for text in found if text is not None})
        code = {text: n for n, text in enumerate(values)}
        codes = [NOTHING if text is None else code[text] for text in found]
        return cls(np.array(codes, np.int32), tuple(values))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> str | None: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str | None]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str | None] | None:
        if isinstance(row, slice):
            return [self[n] for n in range(*row.indices(len(self)))]
        code = int(self.codes[row])
        return None if code == NOTHING else self.values[code]

    def places(self) -> dict[str, Ints]:
        """Where each value stands, rows int32 that ascend."""
        order = np.argsort(self.codes, kind="stable").astype(np.int32)
        ends = np.searchsorted(self.codes[order], np.arange(len(self.values) + 1))
        return {value: order[ends[n] : ends[n + 1]] for n, value in enumerate(self.values)}

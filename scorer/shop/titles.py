"""Finds items by the words of their titles: one look through all titles' bytes, not one a title."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.decide.columns import Texts
from models.decide.snapshot import Snapshot
from models.decide.words import WORD

MOST_LOOKED_AT = 2_000
"""Titles with the longest word that are held against the others: a search must not hold up the shop."""


class Titles:
    """The titles of one snapshot, in lower case (of ASCII letters)."""

    def __init__(self, snapshot: Snapshot) -> None:
        titles = snapshot.titles
        texts = titles if isinstance(titles, Texts) else Texts.of(titles)
        self.version = snapshot.version
        self._letters, self._ends = texts.letters.tobytes().lower(), texts.ends

    def find(self, term: str, count: int) -> list[int]:
        """Rows of the first `count` titles that hold every word of the term."""
        words = sorted((word.encode().lower() for word in WORD.findall(term)), key=len, reverse=True)
        if not words:
            return []
        found: list[int] = []
        for looked, row in enumerate(self._with(words[0])):
            if len(found) >= count or looked >= MOST_LOOKED_AT:
                break
            title = self._letters[self._start(row) : int(self._ends[row])]
            if all(word in title for word in words[1:]):
                found.append(row)
        return found

    def _with(self, word: bytes) -> Iterator[int]:
        at = self._letters.find(word)
        while at >= 0:
            row = int(np.searchsorted(self._ends, at, side="right"))
            end = int(self._ends[row])
            if at + len(word) <= end:
                yield row
                at = end - 1
            at = self._letters.find(word, at + 1)

    def _start(self, row: int) -> int:
        return int(self._ends[row - 1]) if row else 0

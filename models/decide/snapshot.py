"""What serving holds in memory of the items and the champion: one frozen value per published snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import faiss
import numpy as np
import numpy.typing as npt

from contracts.errors import BraidError
from models.decide.blend import SERVED, Blend, logarithmic
from models.decide.cohorts import Cohorts, no_cohorts
from models.decide.columns import Coded
from models.decide.near import Near
from models.decide.ranker import new_rows
from models.decide.sessions import SessionIndex

Kind = Literal["two_tower", "item_knn", "popularity"]
CATEGORY_SEPARATOR = " > "
KINDS: tuple[Kind, ...] = ("two_tower", "item_knn", "popularity")


class SnapshotError(BraidError):
    """A snapshot's files are missing or are not what its manifest says."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One published state of catalog and champion.

    Everything about items is of one length and in one order.

    Attributes:
        in_stock: bool[items]; only these are recommended. `offered_at` int64[items], µs: from when on stock and price are so.
        ships_in_days: int32[items], -1 where nothing is promised.
        numbers: float32[items, NUMBERS], what a ranker reads of each.
        index: item id → row.
        vectors: float32[items, 64], unit length; [0, 64] when the champion has none. `word_vectors` float32[buckets, 64], what its
            text encoder sums; [0, 64] likewise.
        popularity: float32[items], greater is more popular.
        neighbours: int32[items, 50], -1 where there are fewer; `scores` float32[items, 50] beside it.
        sessions: past visits, where the champion is a two-tower.
        kind: what the champion is; `blend`: the weights of a two-tower's sources.
        cohorts: the lists of countries.
        by_category: category path → positions int32 of the items that stand exactly there; `by_brand`, `by_campaign` likewise. `by_branch`: →
            those that stand there or below: `home > kitchen > mugs` stands below `home` and `home > kitchen`.
        logarithmic: float32[items], `popularity` as the blend takes it; `by_popularity` int32[items], the most popular first.
        new: rows int32, the newest first, of what came of late; `new_vectors` float32[new, 64], theirs side by side.
        near: finds items by their vectors; see `nearest`.
        version: of this snapshot; `model_version`: of the champion in the registry; `cut_on`: YYYY-MM-DD.
    """

    ids: Sequence[str]
    index: dict[str, int]
    titles: Sequence[str]
    categories: Sequence[str | None]
    brands: Sequence[str | None]
    price_minor: Sequence[int] | npt.NDArray[np.int64]
    currency: Sequence[str | None]
    in_stock: npt.NDArray[np.bool_]
    offered_at: npt.NDArray[np.int64]
    campaigns: Sequence[str | None]
    ships_in_days: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]
    word_vectors: npt.NDArray[np.float32]
    popularity: npt.NDArray[np.float32]
    neighbours: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    sessions: SessionIndex
    kind: Kind
    version: str
    model_version: str
    cut_on: str
    blend: Blend = SERVED
    cohorts: Cohorts = field(default_factory=no_cohorts)
    near: Near | None = field(default=None, init=False, repr=False, compare=False)
    by_category: dict[str, npt.NDArray[np.int32]] = field(init=False, repr=False, compare=False)
    by_branch: dict[str, npt.NDArray[np.int32]] = field(init=False, repr=False, compare=False)
    by_brand: dict[str, npt.NDArray[np.int32]] = field(init=False, repr=False, compare=False)
    by_campaign: dict[str, npt.NDArray[np.int32]] = field(init=False, repr=False, compare=False)
    logarithmic: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)
    by_popularity: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    new: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    new_vectors: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_category", Coded.of(self.categories).places())
        object.__setattr__(self, "by_branch", _branches(self.by_category))
        object.__setattr__(self, "by_brand", Coded.of(self.brands).places())
        object.__setattr__(self, "by_campaign", Coded.of(self.campaigns).places())
        object.__setattr__(self, "logarithmic", logarithmic(self.popularity))
        order = np.argsort(-self.popularity, kind="stable").astype(np.int32)
        object.__setattr__(self, "by_popularity", order)
        new = new_rows(self.numbers)
        object.__setattr__(self, "new", new)
        object.__setattr__(self, "new_vectors", self.vectors[new] if len(self.vectors) else self.vectors)

    def nearest(self, index: faiss.Index | None = None) -> Near:
        """What finds items by their vectors; made when first asked for, of the stored `index` where there is one."""
        if self.near is None:
            popularity = self.logarithmic if len(self.vectors) else self.logarithmic[:0]
            object.__setattr__(self, "near", Near(self.vectors, popularity, index=index))
        assert self.near is not None
        return self.near

    def rows_of(self, ids: Iterable[str]) -> npt.NDArray[np.int32]:
        """Positions int32 of those of the items that are known, in their order."""
        return np.array([self.index[item] for item in ids if item in self.index], np.int32)

    def below(self, categories: Collection[str]) -> npt.NDArray[np.int32]:
        """Positions int32 of the items in one of these categories (paths), or in one below it; they ascend."""
        found = [self.by_branch[category] for category in categories if category in self.by_branch]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int32)

    def made_by(self, brands: Collection[str]) -> npt.NDArray[np.int32]:
        """Positions int32 of the items of one of these brands."""
        found = [self.by_brand[brand] for brand in dict.fromkeys(brands) if brand in self.by_brand]
        return np.concatenate(found) if found else np.empty(0, np.int32)


def _branches(by_category: Mapping[str, npt.NDArray[np.int32]]) -> dict[str, npt.NDArray[np.int32]]:
    """Each path, and each that one stands below, with the positions of what is there and below."""
    found: dict[str, list[npt.NDArray[np.int32]]] = defaultdict(list)
    for path, positions in by_category.items():
        steps = path.split(CATEGORY_SEPARATOR)
        for depth in range(1, len(steps) + 1):
            found[CATEGORY_SEPARATOR.join(steps[:depth])].append(positions)
    return {branch: np.concatenate(below) for branch, below in found.items()}

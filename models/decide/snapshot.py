"""What serving holds in memory of the items and the champion: one frozen value per published snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["two_tower", "item_knn", "popularity"]
KINDS: tuple[Kind, ...] = ("two_tower", "item_knn", "popularity")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One published state of catalog and champion.

    Everything about items is of one length and in one order.

    Attributes:
        in_stock: bool[items]; only these are recommended.
        index: item id → row.
        vectors: float32[items, 64], unit length; [0, 64] when the champion has none.
        popularity: float32[items], greater is more popular.
        neighbours: int32[items, 50], -1 where there are fewer; `scores` float32[items, 50] beside it.
        kind: what the champion is.
        version: of this snapshot; `model_version`: of the champion in the registry; `cut_on`: YYYY-MM-DD.
    """

    ids: tuple[str, ...]
    index: dict[str, int]
    titles: tuple[str, ...]
    categories: tuple[str | None, ...]
    price_minor: tuple[int, ...]
    currency: tuple[str, ...]
    in_stock: npt.NDArray[np.bool_]
    vectors: npt.NDArray[np.float32]
    popularity: npt.NDArray[np.float32]
    neighbours: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    kind: Kind
    version: str
    model_version: str
    cut_on: str

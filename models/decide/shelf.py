"""What lies on the shelf now: stock and price of a snapshot's items, as the newest catalog update says, and what is taken this hour;
and all that serves with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.catalog import CatalogState
from contracts.policy import PLAIN, Policy
from models.decide.policy import Rulebook
from models.decide.query import Query
from models.decide.ranker import Rank
from models.decide.scored import NOTHING, Mask, Scored
from models.decide.snapshot import Snapshot


class Offer(msgspec.Struct, frozen=True, gc=False):
    """What an item costs, in minor units of the currency, and from when on, µs."""

    price_minor: int
    currency: str
    since: int


@dataclass(slots=True, weakref_slot=True, eq=False)
class Shelf:
    """Item by item in the snapshot's order; one thread puts stock and price, one what is trending, any thread reads.

    Attributes:
        in_stock: bool[items]; only these are recommended.
        price_minor: int64[items]: what filters by price read. An answer tells an `offer`, whose parts belong together.
        offers: by row, where an update said another than the snapshot.
        trending: what is taken this hour (`decide.trends`), replaced as a whole.
    """

    snapshot: Snapshot
    in_stock: Mask
    price_minor: npt.NDArray[np.int64]
    offers: dict[int, Offer] = field(default_factory=dict)
    trending: Scored = NOTHING

    @classmethod
    def of(cls, snapshot: Snapshot, states: Iterable[CatalogState] = ()) -> Self:
        """As the snapshot says, but for the items that `states` are of."""
        prices = np.array(snapshot.price_minor, np.int64)
        shelf = cls(snapshot, snapshot.in_stock.copy(), prices)
        for state in states:
            shelf.put(state)
        return shelf

    def knows(self, state: CatalogState) -> bool:
        """Whether the snapshot holds a later state of the item, or this one."""
        snapshot = self.snapshot
        row = snapshot.index.get(state.item_id)
        if row is None:
            return False
        if state.effective_time != (since := int(snapshot.offered_at[row])):
            return state.effective_time < since
        said = (snapshot.price_minor[row], snapshot.currency[row], bool(snapshot.in_stock[row]))
        return said == (state.price_minor, state.currency, _is_there(state))

    def put(self, state: CatalogState) -> bool:
        """What an item is from now on; False where the snapshot has no such item, or knew it already."""
        row = self.snapshot.index.get(state.item_id)
        if row is None or state.effective_time < self.snapshot.offered_at[row]:
            return False
        if row not in self.offers and self.knows(state):
            return False
        self.in_stock[row] = _is_there(state)
        self.price_minor[row] = state.price_minor
        self.offers[row] = Offer(state.price_minor, state.currency, state.effective_time)
        return True

    def offer(self, row: int) -> Offer:
        """What the item costs now."""
        snapshot = self.snapshot
        return self.offers.get(row) or Offer(
            int(snapshot.price_minor[row]), snapshot.currency[row] or "", int(snapshot.offered_at[row])
        )


def _is_there(state: CatalogState) -> bool:
    return state.availability == "in_stock"


@dataclass(frozen=True, slots=True)
class Served:
    """A snapshot, what runs its query (None for a baseline), its shelf, the policy over it, and what orders the blend's best.

    Without `rank` the blend's own order stays.
    """

    snapshot: Snapshot
    query: Query | None
    shelf: Shelf
    rules: Rulebook
    rank: Rank | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, query: Query | None, policy: Policy = PLAIN) -> Self:
        """With the shelf as the snapshot says."""
        return cls(snapshot, query, Shelf.of(snapshot), Rulebook.of(policy, snapshot))

    def under(self, policy: Policy) -> Self:
        """The same under another policy."""
        return replace(self, rules=Rulebook.of(policy, self.snapshot))

"""Follows what is published: opens and checks a new snapshot beside the old one, then swaps; a bad one is refused. So with the policy."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from contracts.errors import BraidError
from models.decide.artifacts import CURRENT, current_version, open_served, served_before
from models.decide.decide import question_of
from models.decide.ranker import POOL
from models.decide.shelf import Served, Shelf
from models.decide.shopper import Shopper
from models.decide.snapshot import Snapshot, SnapshotError
from models.decide.words import WORD_BUCKETS
from scorer.metrics import Metrics
from scorer.policies import Policies
from scorer.stamps import Stamp, stamp_of

LOG = logging.getLogger("scorer.snapshots")
FOLLOW_SECONDS = 0.5
AGAIN_SECONDS = 60.0
"""What was refused is tried again: its files may have come after the pointer, or none could be opened for a moment."""
UNUSABLE = (
    BraidError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
)
"""What files that are not a snapshot raise on their way through JSON, numpy and LiteRT."""


class Follower:
    """Holds the snapshot that serves; `serving` is replaced as a whole, never changed."""

    def __init__(
        self, folder: Path, stock: Callable[[Snapshot], Shelf], policies: Policies, metrics: Metrics
    ) -> None:
        """`stock` gives a snapshot the shelf that is kept up to date from then on."""
        self._folder = folder
        self._stock = stock
        self._policies = policies
        self._metrics = metrics
        self._stamp: Stamp | None = None
        self._again_at = math.inf
        self._refused: str | None = None
        self.serving: Served | None = None

    @property
    def missing(self) -> str:
        """Why there is no snapshot."""
        return self._refused or f"snapshot: nothing was published ({CURRENT} is not there); run the daily DAG"

    async def follow(self) -> None:
        """Look for a new snapshot for ever."""
        while True:
            try:
                await self.look()
            except Exception:
                # Whatever it is: what serves goes on, and the next one is looked for.
                LOG.exception("a look at what is published failed")
            await asyncio.sleep(FOLLOW_SECONDS)

    async def look(self) -> None:
        """Take the policy if it changed, and open what is current if the pointer did since the last look, or it was refused a while ago."""
        if await asyncio.to_thread(self._policies.look) and self.serving is not None:
            self.serving = await asyncio.to_thread(self.serving.under, self._policies.policy)
            self._tell_idle(self.serving)
        stamp = stamp_of(self._folder / CURRENT)
        known = stamp == self._stamp
        if stamp is None or (known and time.monotonic() < self._again_at):
            return
        self._stamp, self._again_at = stamp, math.inf
        try:
            served = await asyncio.to_thread(self._opened)
        except UNUSABLE as error:
            self._again_at = time.monotonic() + AGAIN_SECONDS
            if not known:
                self._refuse(f"snapshot refused: {type(error).__name__}: {error}")
            if self.serving is None and (earlier := await asyncio.to_thread(self._earlier)):
                self._swap(earlier)
        else:
            if served is not None:
                self._swap(served)

    def _opened(self) -> Served | None:
        """The current snapshot, checked; None when it is the one that serves."""
        version = current_version(self._folder)
        if version is None or (self.serving is not None and self.serving.snapshot.version == version):
            return None
        return self._checked(version)

    def _checked(self, version: str) -> Served:
        served = open_served(self._folder / version, self._policies.policy)
        check(served)
        return replace(served, shelf=self._stock(served.snapshot))

    def _earlier(self) -> Served | None:
        """The newest good one of those that served before: a worker that starts has no other last good one."""
        with suppress(*UNUSABLE):
            for version in served_before(self._folder):
                with suppress(*UNUSABLE):
                    return self._checked(version)
        return None

    def _swap(self, served: Served) -> None:
        snapshot = served.snapshot
        self.serving = served
        self._refused = None
        self._tell_idle(served)
        self._metrics.serves(snapshot.version, snapshot.model_version, snapshot.kind)
        LOG.info("snapshot serves", extra={"version": snapshot.version, "items": len(snapshot.ids)})

    def _tell_idle(self, served: Served) -> None:
        """A rule may wait for its items; one with a slip of the pen blocks nothing."""
        idle = served.rules.idle
        self._metrics.policy_rules_idle.set(len(idle))
        if idle:
            LOG.warning("rules of the policy name nothing that is there", extra={"rules": idle})

    def _refuse(self, cause: str) -> None:
        self._refused = cause
        self._metrics.snapshots_refused.inc()
        LOG.error("snapshot refused; the last good one stays", extra={"cause": cause})


def check(served: Served) -> None:
    """See that the arrays belong together and that the query tower runs.

    Raises:
        SnapshotError: they do not; the message says which.
    """
    snapshot = served.snapshot
    items = len(snapshot.ids)
    lengths = {
        "numbers": len(snapshot.numbers),
        "titles": len(snapshot.titles),
        "price_minor": len(snapshot.price_minor),
        "currency": len(snapshot.currency),
        "in_stock": len(snapshot.in_stock),
        "offered_at": len(snapshot.offered_at),
        "popularity": len(snapshot.popularity),
        "categories": len(snapshot.categories),
        "brands": len(snapshot.brands),
        "campaigns": len(snapshot.campaigns),
        "ships_in_days": len(snapshot.ships_in_days),
    }
    if snapshot.kind == "two_tower":
        lengths["item_vectors"] = len(snapshot.vectors)
        if snapshot.word_vectors.shape != (WORD_BUCKETS, snapshot.vectors.shape[1]):
            raise SnapshotError(f"{snapshot.version}: word vectors of shape {snapshot.word_vectors.shape}")
    if snapshot.kind != "popularity":
        lengths |= {"neighbours": len(snapshot.neighbours), "scores": len(snapshot.scores)}
    wrong = {name: length for name, length in lengths.items() if length != items}
    if items == 0 or wrong:
        raise SnapshotError(f"{snapshot.version}: {items} items, but {wrong or 'there must be some'}")
    if snapshot.cohorts.items.max(initial=-1) >= items:
        raise SnapshotError(f"{snapshot.version}: {items} items, but a country's list has others")
    if snapshot.neighbours.max(initial=-1) >= items:
        raise SnapshotError(
            f"{snapshot.version}: {items} items, but a neighbour numbered {snapshot.neighbours.max()}"
        )
    if served.query is not None:
        _try_query(served)


def _try_query(served: Served) -> None:
    """A tower and a ranker are asked once for nobody before they are asked for somebody."""
    assert served.query is not None
    question, _ = question_of(Shopper(search_term="anything"), served.snapshot)
    vector = served.query(question)
    if vector.shape != served.snapshot.vectors.shape[1:]:
        raise SnapshotError(f"{served.snapshot.version}: the query tower answers {vector.shape}")
    if served.rank is not None:
        first = np.arange(min(POOL, len(served.snapshot.ids)), dtype=np.int32)
        order = served.rank(question, first, {"similar": served.snapshot.vectors[first] @ vector}).scores
        if order.shape != first.shape or not np.isfinite(order).all():
            raise SnapshotError(f"{served.snapshot.version}: the ranker answers {order[:3]}")

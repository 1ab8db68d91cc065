"""The served snapshot with what the catalog says by now: a new item has a vector within the hour, not tomorrow.

```
topic catalog ─► newest states ─► over the cut's catalog ─► item tower ─► snapshot of the same cut and model ─► current
```

Popularity and neighbours stay the cut's. Updates have not passed the day's gate yet, so this has one of its own: where too many known
prices move too far at once, what serves stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import numpy as np

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.expectations.written import PRICE_JUMP_FACTOR
from contracts.settings import Settings
from models.catalog import Catalog, read_catalog_at
from models.changes import Update, changed, newest, read_updates
from models.decide.artifacts import current_version, forget_old, open_snapshot, replace_current
from models.decide.query import NO_ITEM
from models.embed import catalog_vectors
from models.errors import ModelsError
from models.publish import KEPT, no_vectors, snapshot_of, write_checked
from models.registry import named

JUMPS_ALLOWED = 0.2
JUDGED_FROM = 20
"""Fewer updates of known items tell nothing: one of three may be a sale."""


def refresh(settings: Settings) -> str | None:
    """Publish the refreshed snapshot; its version, or None where nothing changed or another was published meanwhile.

    Raises:
        ModelsError: nothing serves, Kafka does not answer, or the updates look wrong.
        SnapshotError: the served files are not what their manifest says.
    """
    version = current_version(settings.serving)
    if version is None:
        raise ModelsError(f"{settings.serving} has no snapshot that serves: run the daily DAG first")
    served = open_snapshot(settings.serving / version)
    model, cut_on = named(settings, served.model_version), date.fromisoformat(served.cut_on)
    now = settings.clock().now()
    catalog = read_catalog_at(settings, cut_on)
    updates = since(catalog, Cut(cut_on).end, newest(read_updates(settings), to_micros(now)))
    refuse_jumps(catalog, updates)
    catalog = changed(catalog, updates)
    vectors = no_vectors()
    if model.kind == "two_tower":
        vectors = catalog_vectors(model.folders["two_tower"], catalog)
    index = catalog.index
    # Counted once a day.
    cohorts = served.cohorts.moved(np.array([index.get(item, NO_ITEM) for item in served.ids], np.int32))
    made = write_checked(settings, snapshot_of(catalog, vectors, model, cut_on, cohorts), model, now)
    if made == version or not replace_current(settings.serving, version, made):
        return None
    forget_old(settings.serving, KEPT)
    return made


def since(catalog: Catalog, end: datetime, updates: Mapping[str, Update]) -> dict[str, Update]:
    """The updates that take effect after the cut, and those of items that it does not know: the cut has judged the others."""
    known, after = catalog.index, to_micros(end)
    return {item: one for item, one in updates.items() if item not in known or one["effective_time"] >= after}


def refuse_jumps(catalog: Catalog, updates: Mapping[str, Update]) -> None:
    """Refuse updates of known items of which, as at the day's gate, more than a fifth move the price by more than a factor.

    Raises:
        ModelsError: they do.
    """
    index = catalog.index
    prices = {i: (catalog.price_minor[index[i]], u["price_minor"]) for i, u in updates.items() if i in index}
    jumped = [
        item for item, (old, new) in prices.items() if max(old, new) > PRICE_JUMP_FACTOR * min(old, new)
    ]
    if len(prices) >= JUDGED_FROM and len(jumped) > JUMPS_ALLOWED * len(prices):
        raise ModelsError(
            f"{len(jumped)} of {len(prices)} updated prices moved by more than a factor {PRICE_JUMP_FACTOR}, among them {jumped[:5]}: "
            "what serves stays; have the source send them again"
        )

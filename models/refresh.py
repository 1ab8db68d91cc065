"""The served snapshot with what the catalog says by now: a new item has a vector within the hour, not tomorrow.

```
topic catalog ─► newest states ─► over the cut's catalog ─► item tower ─► snapshot of the same cut and model ─► current
```

Popularity and neighbours stay the cut's. Updates have not passed the day's gate yet, so this has one of its own: where too many known
prices move too far at once, what serves stays.
"""

from __future__ import annotations

from datetime import date

from contracts.clock import to_micros
from contracts.expectations.written import PRICE_JUMP_FACTOR
from contracts.settings import Settings
from models import files
from models.catalog import Catalog, read_catalog_at
from models.changes import changed, newest, read_updates
from models.decide.artifacts import current_version, open_snapshot, replace_current, write_snapshot
from models.embed import catalog_vectors
from models.errors import ModelsError
from models.publish import check, no_vectors, snapshot_of
from models.registry import named

JUMPS_ALLOWED = 0.2
"""Share of the known items with an update, as at the day's gate."""


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
    before = read_catalog_at(settings, cut_on)
    catalog = changed(before, newest(read_updates(settings), to_micros(now)))
    refuse_jumps(before, catalog)
    vectors, tower = no_vectors(), None
    if model.kind == "two_tower":
        vectors = catalog_vectors(model.folders["two_tower"], catalog)
        tower = (model.folders["two_tower"] / files.QUERY_TOWER).read_bytes()
    snapshot = snapshot_of(catalog, vectors, model, cut_on)
    check(snapshot)
    made = write_snapshot(settings.serving, snapshot, tower, now)
    if made == version or not replace_current(settings.serving, version, made):
        return None
    return made


def refuse_jumps(before: Catalog, after: Catalog) -> None:
    """Refuse updates of which more than a fifth move a known price by more than the gate's factor.

    Raises:
        ModelsError: they do.
    """
    index = before.index
    moved, jumped = 0, []
    for item, price in zip(after.ids, after.price_minor, strict=True):
        old = before.price_minor[index[item]] if item in index else price
        moved += price != old
        if max(price, old) > PRICE_JUMP_FACTOR * min(price, old):
            jumped.append(item)
    if len(jumped) > JUMPS_ALLOWED * moved:
        raise ModelsError(
            f"{len(jumped)} of {moved} prices that changed moved by more than a factor {PRICE_JUMP_FACTOR}, among them {jumped[:5]}: "
            "what serves stays; have the source send them again"
        )

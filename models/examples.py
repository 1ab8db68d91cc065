"""Training examples as arrays: each added item with the slots that were known just before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.settings import Settings
from models.decide.facts import NAMES, facts
from models.decide.query import NO_ITEM, SLOTS, Question, met_before, slots
from models.decide.words import bucket_rows
from models.errors import ModelsError
from models.evaluation.cases import Interactions, Longs
from models.tables import read_all

Ints = npt.NDArray[np.int32]
CARTED = 50
COLUMNS = (
    "event_id",
    "visitor_id",
    "session_id",
    "label_item_id",
    "event_timestamp",
    "session_last_items",
    "session_last_carted",
    "user_last_items",
    "user_top_items_90d",
    "session_last_searches",
    "user_last_searches_90d",
    *NAMES,
)


@dataclass(frozen=True, slots=True)
class Examples:
    """One row a label, in the order of (time, event id).

    Attributes:
        positions: int32[n, 80] rows of the catalog, -1 where a slot is empty; `kinds` int32[n, 80] beside it.
        words: int32[n, 16], buckets of the newest search (`decide.words`); `facts` float32[n, FACTS] (`decide.facts`).
        labels: int32[n], the added item's row of the catalog.
        carted: int32[n, 50], rows of the items already in the session's cart, -1 beyond them.
        sessions: int32[n], a number for each (visitor, session), the later its last label the greater.
        shoppers: int32[n], a number for each visitor.
        days: datetime64[D][n], the day of the label.
    """

    positions: Ints
    kinds: Ints
    words: Ints
    facts: npt.NDArray[np.float32]
    labels: Ints
    carted: Ints
    sessions: Ints
    shoppers: Ints
    days: npt.NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: Any) -> Examples:
        """The rows that a mask or a slice names."""
        return Examples(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    def question(self, row: int) -> Question:
        """One row as serving asks it."""
        return Question(self.positions[row], self.kinds[row], self.words[row], self.facts[row])

    def excluded(self) -> tuple[Longs, Longs]:
        """Rows and items of what lies in the session's cart already: no candidates, as in serving."""
        row, slot = np.nonzero(self.carted >= 0)
        return row, self.carted[row, slot].astype(np.int64)

    def interactions(self, *, of_shoppers: bool = False) -> Interactions:
        """The labels as what the baselines learn from: baskets of sessions, or of shoppers."""
        of = self.shoppers if of_shoppers else self.sessions
        return Interactions(of, self.labels, self.days.astype(np.int32))


def read_examples(settings: Settings, index: Mapping[str, int], cut_on: date) -> Examples:
    """The training set's labels to the end of the cut's day; items without a catalog state are left out.

    Raises:
        ModelsError: there is none.
    """
    rows = read_all(settings, "gold_training_examples", COLUMNS)
    examples = examples_of(rows.sort_by([("event_timestamp", "ascending"), ("event_id", "ascending")]), index)
    examples = examples.where(examples.days <= np.datetime64(cut_on))
    if len(examples) == 0:
        raise ModelsError(
            f"gold_training_examples has no label to {cut_on}: run feature_repo training-set first"
        )
    return examples


def examples_of(rows: pa.Table, index: Mapping[str, int]) -> Examples:
    """Arrays of the rows of `gold_training_examples`, in their order, whose label `index` knows."""
    rows = rows.filter(
        pa.array([item in index for item in rows.column("label_item_id").to_pylist()], pa.bool_())
    )
    columns = {name: rows.column(name).to_pylist() for name in COLUMNS if name != "event_timestamp"}
    positions = np.empty((rows.num_rows, SLOTS), np.int32)
    kinds = np.empty((rows.num_rows, SLOTS), np.int32)
    carted = np.full((rows.num_rows, CARTED), NO_ITEM, np.int32)
    users = map(met_before, columns["user_last_items"], columns["user_top_items_90d"])
    shoppers = zip(columns["session_last_items"], users, columns["session_last_carted"], strict=True)
    for n, (session, user, cart) in enumerate(shoppers):
        positions[n], kinds[n] = slots(session or (), cart or (), user, index)
        known = [index[item] for item in cart or () if item in index][:CARTED]
        carted[n, : len(known)] = known
    searches = zip(columns["session_last_searches"], columns["user_last_searches_90d"], strict=True)
    sessions = [f"{v}\t{s}" for v, s in zip(columns["visitor_id"], columns["session_id"], strict=True)]
    return Examples(
        positions=positions,
        kinds=kinds,
        words=bucket_rows(next(iter(session or user or ()), None) for session, user in searches),
        facts=facts(columns, rows.num_rows),
        labels=np.array([index[item] for item in columns["label_item_id"]], np.int32),
        carted=carted,
        sessions=_by_last(np.unique(np.array(sessions, str), return_inverse=True)[1]),
        shoppers=np.unique(np.array(columns["visitor_id"], str), return_inverse=True)[1].astype(np.int32),
        days=_days(rows),
    )


def split(examples: Examples, cut_on: date, validation_days: int) -> tuple[Examples, Examples]:
    """Train on what lies before the last `validation_days` days of the cut, validate on those.

    Raises:
        ModelsError: one side would be empty.
    """
    first = np.datetime64(cut_on - timedelta(days=validation_days - 1))
    train, validation = examples.where(examples.days < first), examples.where(examples.days >= first)
    if not len(train) or not len(validation):
        raise ModelsError(
            f"{len(train)} examples before {first} and {len(validation)} from then to {cut_on}: "
            "a time split needs both; give more label days or fewer validation days"
        )
    return train, validation


def _by_last(numbers: npt.NDArray[np.intp]) -> Ints:
    """Numbers in the order of their last places."""
    last = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
    np.maximum.at(last, numbers, np.arange(len(numbers)))
    order = np.empty(len(last), np.int32)
    order[np.argsort(last)] = np.arange(len(last))
    return order[numbers]


def _days(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    times: npt.NDArray[np.datetime64] = rows.column("event_timestamp").cast(pa.timestamp("us")).to_numpy()
    return times.astype("datetime64[D]")

"""How much an evaluation does: the quick one and the full one.

A section of the report is a data set, how fast the towers train, what their export loses, what the gate refuses, what the item vectors
say, or what is answered where little is known; the latter are of the towers as a shop's training makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.evaluation.datasets import PUBLIC
from models.evaluation.search import Budget

SHOP = "online_retail"
SHOP_TUNED = f"{SHOP}_validation"
SPEED = "training"
LITERT = "litert"
GATE = "gate"
ITEMS = "items"
COLD = "cold_start"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much an evaluation does.

    Attributes:
        report: the name of its files.
        budget: of each search.
        train_seconds: of our towers, per data set; `epochs`: of them at most, None as many as help.
        asked: validation cases that a search looks at; None for all.
    """

    report: str
    sections: Sequence[str]
    budget: Budget
    train_seconds: float
    epochs: int | None
    asked: int | None


QUICK = Plan("evaluate-quick", ("serenade", "beauty"), Budget(3, 60.0), 270.0, 40, 1000)
FULL = Plan("evaluate", (*PUBLIC, SHOP, SPEED, LITERT, GATE, ITEMS, COLD), Budget(), 3600.0, None, 5000)

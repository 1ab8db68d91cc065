"""What a rule and a measure of a gate are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Gate(StrEnum):
    """What a day passes through; the value names it in reports and Data Docs."""

    INGEST = "bronze_to_silver"
    FEATURES = "silver_to_gold"
    ONLINE = "gold_to_online"


INGEST, FEATURES, ONLINE = Gate.INGEST, Gate.FEATURES, Gate.ONLINE
EVENTS, CATALOG, REJECTED = "bronze_events", "bronze_catalog", "bronze_rejected"


@dataclass(frozen=True, slots=True)
class Day:
    """A cut's figures, by the names of its measures; None is a figure that does not exist (a mean over nothing)."""

    on: date
    figures: Mapping[str, float | None]

    def figure(self, name: str) -> float:
        """The figure; 0 where there is none."""
        return self.figures.get(name) or 0.0


Number = Callable[[Day, Sequence[Day]], float | None]
"""(the day, the days before it, in order) → what a rule judges; None where it cannot be judged."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a day's rows that later days are compared with: an SQL aggregate over `table`."""

    name: str
    gate: Gate
    table: str
    sql: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One number a day and what it may be.

    Attributes:
        cause: what is wrong at the source when it breaks, in a word (`tests/faults/README.md` lists them).
        table: whose rows are counted, or whose measures are compared.
        violation: SQL over a row of the table, true of a row that breaks the rule.
        among: SQL, the rows that a share is of.
        share: the number is violations / rows of `among`, else the count of violations.
        least: of fewer rows no share is judged.
        number: of a rule over measures: how the number comes from the day and the days before.
        allowed: the greatest number that passes; `minimum` the least.
    """

    name: str
    gate: Gate
    doc: str
    table: str
    cause: str
    violation: str = "FALSE"
    among: str = "TRUE"
    share: bool = False
    least: int = 1
    number: Number | None = None
    allowed: float = 0
    minimum: float | None = None

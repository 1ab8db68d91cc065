"""What a run of the batch jobs was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession

from contracts.cuts import days_between
from contracts.settings import Settings
from contracts.tables import table_named
from spark_jobs import delta

KAFKA = "kafka"
DAY_FILES = "days:"


@dataclass(frozen=True, slots=True)
class Run:
    """The cuts `first` to `cut`, and everything a job needs to make them.

    Attributes:
        consent_as_of: choices received before it count; None: for each cut those received before its publication.
        source: where bronze reads: `kafka`, or `days:<name>`.
        gated: False only where the gates' cost is measured: the same run without them.
        rows: table → rows its last commit of this run wrote.
    """

    spark: SparkSession
    settings: Settings
    first: date
    cut: date
    consent_as_of: datetime | None = None
    source: str = KAFKA
    gated: bool = True
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def days(self) -> list[date]:
        return days_between(self.first, self.cut)

    def read(self, table: str) -> DataFrame | None:
        """The table, or None before its first write."""
        return delta.read(self.spark, table_named(table).path(self.settings))

    def replace(self, table: str, frame: DataFrame, where: str) -> None:
        """Make `frame` the only rows of the table that `where` is true of."""
        declared = table_named(table)
        self.rows[table] = delta.replace(frame, declared.path(self.settings), declared.partition, where)

    def between(self, column: str, before: int = 0, after: int = 0) -> str:
        """SQL: `column` (a date) lies in the run's cuts, widened by whole days."""
        first, last = self.first - timedelta(days=before), self.cut + timedelta(days=after)
        return date_range(column, first, last)


def date_range(column: str, first: date, last: date) -> str:
    """SQL that Delta's replaceWhere takes too (it does not resolve BETWEEN)."""
    return f"({column} >= DATE'{first}' AND {column} <= DATE'{last}')"

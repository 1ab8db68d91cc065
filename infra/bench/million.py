"""A lake with a million label rows: the largest shop's, copied under shifted keys until its labels suffice.

Every copy has shoppers, devices, sessions and events of its own, so joins meet no hotter key than in the shop itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from contracts.features import SERVICE_VIEWS
from contracts.settings import Settings
from contracts.tables import table_named

LABELS = "gold_label_rows"
EXAMPLES = "gold_training_examples"
CONSENT = "gold_consent"
TABLES = (LABELS, CONSENT, *(view.table for view in SERVICE_VIEWS))
KEYS = ("event_id", "user_id", "linked_user_id", "visitor_id", "session_id", "shopper_id")


def rows_in(settings: Settings, table: str) -> int:
    """Rows of a Delta table, by its own metadata."""
    found: int = open_table(settings, table).to_pyarrow_dataset().count_rows()
    return found


def open_table(settings: Settings, table: str) -> DeltaTable:
    return DeltaTable(str(table_named(table).path(settings)))


def copies_for(examples: int, wanted: int) -> int:
    """How many copies of so many examples give at least `wanted`."""
    return -(-wanted // examples)


def copy_lake(source: Settings, target: Settings, copies: int) -> dict[str, int]:
    """Write the tables that a training set is made of, `copies` times, and return their rows."""
    for table in TABLES:
        _copy(source, target, table, copies)
    return {table: rows_in(target, table) for table in TABLES}


def shifted(rows: pa.Table, copy: int) -> pa.Table:
    """The rows under keys of their own; a key that is null stays null."""
    for name in set(KEYS).intersection(rows.column_names):
        place = rows.column_names.index(name)
        renamed = pc.binary_join_element_wise(rows.column(name), f"~{copy}", "")
        rows = rows.set_column(place, name, renamed)
    return rows


def _copy(source: Settings, target: Settings, table: str, copies: int) -> None:
    """One file a partition, as the jobs write them."""
    stored, partition = open_table(source, table), table_named(table).partition
    assert partition is not None
    dataset = stored.to_pyarrow_dataset()
    days = sorted(set(dataset.to_table(columns=[partition]).column(partition).to_pylist()))
    # Of the choices about consent a training set reads those of its own cut, which is the last one.
    for day in days[-1:] if table == CONSENT else days:
        rows = dataset.to_table(filter=pc.field(partition) == day)
        write_deltalake(
            str(table_named(table).path(target)),
            pa.RecordBatchReader.from_batches(rows.schema, _batches(rows, copies)),
            mode="append",
            partition_by=[partition],
        )


def _batches(rows: pa.Table, copies: int) -> Iterator[pa.RecordBatch]:
    for copy in range(copies):
        yield from shifted(rows, copy).to_batches()

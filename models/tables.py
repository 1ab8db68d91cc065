"""Delta tables through delta-rs: reads of named columns, replacement of one cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from contracts.settings import Settings
from contracts.tables import table_named
from models.errors import ModelsError


def read_all(settings: Settings, name: str, columns: Sequence[str]) -> pa.Table:
    """The columns of the whole table.

    Raises:
        ModelsError: the table does not exist, or lacks a column.
    """
    return _read(settings, name, columns)


def read_cut(settings: Settings, name: str, cut_on: date, columns: Sequence[str]) -> pa.Table:
    """The columns of one cut's rows.

    Raises:
        ModelsError: the table does not exist, lacks a column, or has no row of the cut.
    """
    rows = _read(settings, name, columns, [("cut_on", "=", cut_on)])
    if rows.num_rows == 0:
        raise ModelsError(
            f"{name} has no row of cut {cut_on}: run the job {table_named(name).owner!r} of that cut"
        )
    return rows


def read_days(settings: Settings, name: str, days: tuple[date, date], columns: Sequence[str]) -> pa.Table:
    """The columns of the rows from the first to the last of `days`, of a table that lies in days of events.

    Raises:
        ModelsError: the table does not exist, or lacks a column.
    """
    first, last = days
    return _read(settings, name, columns, [("event_on", ">=", first), ("event_on", "<=", last)])


def replace_cut(settings: Settings, name: str, cut_on: date, rows: pa.Table) -> None:
    """Make `rows` (all of `cut_on`) the only rows of that cut."""
    path = str(table_named(name).path(settings))
    if DeltaTable.is_deltatable(path):
        write_deltalake(path, rows, mode="overwrite", predicate=f"cut_on = '{cut_on}'")
    else:
        write_deltalake(path, rows, mode="overwrite", partition_by=["cut_on"])


def _read(
    settings: Settings, name: str, columns: Sequence[str], filters: list[tuple[str, str, Any]] | None = None
) -> pa.Table:
    table = table_named(name)
    path = str(table.path(settings))
    try:
        stored = DeltaTable(path)
    except TableNotFoundError as error:
        raise ModelsError(f"{path} does not exist: run the job {table.owner!r} first") from error
    if lacking := set(columns) - {field.name for field in stored.schema().fields}:
        raise ModelsError(
            f"{name} has no column {', '.join(sorted(lacking))} yet: run the job {table.owner!r} of the newest cut again"
        )
    # Arrow's own file system: delta-rs's runs Python in Arrow's threads, which can abort the process as it ends.
    files = SubTreeFileSystem(path, LocalFileSystem())
    return stored.to_pyarrow_table(columns=list(columns), filters=filters, filesystem=files)

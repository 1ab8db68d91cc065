"""Delta tables through delta-rs: reads of named columns, replacement of one cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from contracts.settings import Settings
from contracts.tables import table_named
from models.errors import ModelsError


def read_all(settings: Settings, name: str, columns: Sequence[str]) -> pa.Table:
    """The columns of the whole table."""
    return _open(settings, name).to_pyarrow_table(columns=list(columns))


def read_cut(settings: Settings, name: str, cut_on: date, columns: Sequence[str]) -> pa.Table:
    """The columns of one cut's rows.

    Raises:
        ModelsError: the table does not exist, or has no row of the cut.
    """
    rows = _open(settings, name).to_pyarrow_table(filters=[("cut_on", "=", cut_on)], columns=list(columns))
    if rows.num_rows == 0:
        raise ModelsError(
            f"{name} has no row of cut {cut_on}: run the job {table_named(name).owner!r} of that cut"
        )
    return rows


def replace_cut(settings: Settings, name: str, cut_on: date, rows: pa.Table) -> None:
    """Make `rows` (all of `cut_on`) the only rows of that cut."""
    path = table_named(name).path(settings)
    if DeltaTable.is_deltatable(str(path)):
        write_deltalake(str(path), rows, mode="overwrite", predicate=f"cut_on = '{cut_on}'")
    else:
        write_deltalake(str(path), rows, mode="overwrite", partition_by=["cut_on"])


def _open(settings: Settings, name: str) -> DeltaTable:
    table = table_named(name)
    try:
        return DeltaTable(str(table.path(settings)))
    except TableNotFoundError as error:
        raise ModelsError(
            f"{table.path(settings)} does not exist: run the job {table.owner!r} first"
        ) from error

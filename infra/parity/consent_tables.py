"""The batch strand after the consent day: rows of shoppers who had withdrawn, table by table, by what is known to be true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from contracts.clock import to_micros
from contracts.settings import Settings
from contracts.tables import table_named
from infra.parity.consent_day import GRANT, ON, Shopper

TABLES = (
    "gold_user_features",
    "gold_user_embeddings",
    "gold_session_features",
    "gold_shopper_features",
    "gold_label_rows",
    "gold_training_examples",
    "gold_recommendations",
)


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table's rows of the day's shoppers, and those that should not be there."""

    rows: int
    violations: int


def check_tables(
    settings: Settings, crowd: Sequence[Shopper], consent_as_of: datetime, tables: Sequence[str] = TABLES
) -> dict[str, TableRows]:
    """Rows of the cut whose shopper had not granted before `consent_as_of`, or whose event was under a denial."""
    before = to_micros(consent_as_of)
    denied = [shopper for shopper in crowd if shopper.choice(before) != GRANT]
    forbidden = {
        "user_id": [shopper.user_id for shopper in denied if shopper.user_id],
        "visitor_id": [shopper.visitor_id for shopper in denied],
        "shopper_id": [shopper.shopper_id for shopper in denied],
        "event_id": [event for shopper in crowd for event in shopper.unconsented],
    }
    return {name: _check(_rows(settings, name), forbidden) for name in tables}


def _check(rows: pa.Table, forbidden: Mapping[str, Sequence[str]]) -> TableRows:
    bad = pa.array([False] * rows.num_rows)
    for column, values in forbidden.items():
        if column in rows.column_names:
            named = pc.is_in(rows.column(column).combine_chunks(), value_set=pa.array(values, pa.string()))
            bad = pc.or_(bad, pc.fill_null(named, False))
    return TableRows(rows.num_rows, int(pc.sum(bad).as_py() or 0))


def _rows(settings: Settings, name: str) -> pa.Table:
    """The rows of the day's cut; the training set is one set, of that cut. A model without vectors leaves no embeddings."""
    path = str(table_named(name).path(settings))
    if not DeltaTable.is_deltatable(path):
        return pa.table({})
    table = DeltaTable(path)
    whole = table.to_pyarrow_table()
    if "cut_on" not in whole.column_names:
        return whole
    return whole.filter(pc.equal(whole.column("cut_on"), pa.scalar(ON)))

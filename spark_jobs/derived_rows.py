"""Derived features of decisions, recomputed from the rows and the request that each decision recorded; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec
import pyarrow as pa
from pyspark.sql import DataFrame

from contracts.decisions import Context, Plain, Row, derived_of
from spark_jobs.parity import DIFFERENCE, DIFFERENCE_DDL

ERRORS = (ValueError, TypeError, IndexError, KeyError)
"""What a record that is no decision, or a stored value of a wrong form, raises (msgspec's errors are ValueErrors)."""


class Recorded(msgspec.Struct, frozen=True):
    """What of a decision makes its derived features."""

    decided_at: int
    rows: list[Row]
    context: Context
    derived: dict[str, Plain]


DECODER = msgspec.json.Decoder(Recorded)


def derived_differences(decisions: DataFrame) -> DataFrame:
    """`DIFFERENCE_DDL`: each decision, and what differs between its derived features and their recomputation, as JSON.

    Args:
        decisions: `bronze_decisions`; those of before derived features were recorded are left out.
    """
    recorded = decisions.where("get_json_object(decision, '$.derived') IS NOT NULL")
    return recorded.select("decision_id", "decision").mapInArrow(_compare_batches, DIFFERENCE_DDL)


def differing(text: str) -> tuple[dict[str, Plain], dict[str, Plain]]:
    """What a decision (JSON) recorded and what is expected, by the names of the derived features that differ.

    Raises:
        ValueError: it is no decision, or a stored value in it is of a wrong form; TypeError and IndexError likewise.
    """
    recorded = DECODER.decode(text)
    expected = derived_of(recorded.rows, recorded.context, recorded.decided_at)
    names = [
        name
        for name in sorted(recorded.derived.keys() | expected.keys())
        if _exact(recorded.derived, name) != _exact(expected, name)
    ]
    return _chosen(recorded.derived, names), _chosen(expected, names)


def _exact(derived: dict[str, Plain], name: str) -> str | None:
    """The value as it is written: 1 is not 1.0, and a missing one is not null."""
    return json.dumps(derived[name]) if name in derived else None


def _chosen(derived: dict[str, Plain], names: list[str]) -> dict[str, Plain]:
    return {name: derived[name] for name in names if name in derived}


def _compare_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_pylist([_compared(**row) for row in batch.to_pylist()], DIFFERENCE)


def _compared(decision_id: str, decision: str) -> dict[str, object]:
    try:
        used, expected = differing(decision)
    except ERRORS as error:
        return {"decision_id": decision_id, "same": False, "used": None, "expected": str(error)}
    shown = {"used": json.dumps(used), "expected": json.dumps(expected)}
    return {"decision_id": decision_id, "same": not (used or expected), **shown}

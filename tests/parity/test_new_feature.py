"""A new feature is one declaration: everything else follows from it. Here one is made up and asked of every engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contracts import feature_docs
from contracts.clock import to_micros
from contracts.features import SESSION, Feature, FeatureType, Max
from contracts.online import decode_row, fields_of
from contracts.online_values import encode_timestamp, encode_value
from contracts.reference import stream_rows
from contracts.settings import Settings
from feature_repo.definitions import feature_view
from flink_jobs.job import parity_job
from flink_jobs.sql import Stream, render
from infra.stack import LocalStack
from tests.parity.cases import CASES as FOLDER
from tests.parity.cases import CUT, load_case, placed
from tests.parity.engines import Rows, bronze_of
from tests.parity.flink import by_flink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEAREST = Feature(
    "session_dearest_icelandic_minor",
    "Greatest value carted from Iceland, minor units: of a column that no other feature reads",
    FeatureType.INT64,
    Max("value_minor"),
    ("add_to_cart",),
    (("context_country", "IS"),),
    default=None,
)
VIEW = replace(SESSION, features=(*SESSION.features, DEAREST))


def events() -> list[dict[str, Any]]:
    """Three additions: 3.00 and 9.00 from Iceland, 20.00 from elsewhere."""
    base = load_case(FOLDER / "session_carts" / "one-of-two").events[1]
    given = ((300, "IS"), (900, "IS"), (2000, None))
    return placed(
        {**base, "event_id": f"new{n}", "value_minor": value, "context_country": country}
        for n, (value, country) in enumerate(given)
    )


def values(rows: Rows) -> list[int | None]:
    return [row[DEAREST.name] for row in rows.values() if row["session_carts"] == 3]


def test_the_reference_knows_it(settings: Settings) -> None:
    assert values(stream_rows(VIEW, events(), settings)) == [900]


def test_spark_knows_it(spark: SparkSession, settings: Settings) -> None:
    from spark_jobs.parity import final_rows

    rows = final_rows(VIEW, bronze_of(spark, events()), settings.session_horizon).collect()
    assert [row[DEAREST.name] for row in rows] == [900]


def test_flink_knows_it(settings: Settings, stack: LocalStack) -> None:
    stack.up(["flink-taskmanager", "kafka"])
    found = by_flink(settings, events(), CUT, lambda rows: values(rows.get("session", {})) != [], (VIEW,))
    assert values(found["session"]) == [900]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # Feast says that its Spark sources are young
def test_its_field_and_its_line_follow(settings: Settings) -> None:
    fields = {field.name: field.description for field in feature_view(VIEW, settings).schema}
    assert fields[DEAREST.name] == DEAREST.description
    row = [encode_value(7, FeatureType.INT64)] * len(VIEW.stored_columns) + [encode_timestamp(1), bytes(24)]
    assert decode_row(VIEW, row).features[DEAREST.name] == 7
    assert len(fields_of(VIEW)) == len(fields_of(SESSION)) + 1
    [(_, spec)] = render(settings, Stream("k"), (VIEW,)).views
    assert DEAREST.name in spec
    line = feature_docs.feature_line(VIEW, DEAREST)
    assert line.startswith("| `session_dearest_icelandic_minor` |") and "`context_country` = IS" in line
    job = parity_job(settings, Stream("k"), "n", to_micros(CUT.end), (VIEW,))
    assert (
        job.fingerprint != parity_job(settings, Stream("k"), "n", to_micros(CUT.end), (SESSION,)).fingerprint
    )

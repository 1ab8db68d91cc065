"""Every case says the same in the reference, Spark and Flink: what was worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from contracts.clock import to_rfc3339
from contracts.events import read_event
from contracts.features import DERIVED, EVERY_VIEW, Computed, CoVisited, Request, Source, Strand
from contracts.reference import Known
from contracts.settings import Settings
from flink_jobs.sql import features_of
from infra.stack import LocalStack
from tests.parity.cases import CASES, CUT, FEATURES, Case, load_cases, micros, placed
from tests.parity.derived_cases import DerivedCase, load_derived_cases
from tests.parity.engines import Rows, by_reference, by_spark
from tests.parity.flink import by_flink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ALL = load_cases()
ON_FLINK = {feature.name for view in EVERY_VIEW for feature in features_of(view)}
COMPUTED = {f.name for view in EVERY_VIEW for f in view.features if isinstance(f.aggregate, Computed)}
END_OF_TIME = "2011-12-01T00:00:00Z"


def ids(case: Case) -> str:
    return f"{case.feature}/{case.name}"


def every_event() -> list[dict[str, Any]]:
    return placed(event for case in ALL for event in case.events)


@pytest.fixture(scope="module")
def reference(settings: Settings) -> dict[str, Rows]:
    return by_reference(every_event(), [u for case in ALL for u in case.catalog], CUT, settings)


@pytest.fixture(scope="module")
def in_spark(spark: SparkSession, settings: Settings) -> dict[str, Rows]:
    return by_spark(spark, every_event(), [u for case in ALL for u in case.catalog], CUT, settings)


@pytest.fixture(scope="module")
def in_flink(settings: Settings, stack: LocalStack) -> dict[str, Rows]:
    """One run over all cases; what windows wait for comes last."""
    stack.up(["flink-taskmanager", "kafka"])
    calm = [event for case in ALL if not case.view.window_minutes for event in _for_flink(case, settings)]
    trends = sorted(
        (case for case in ALL if case.view.window_minutes), key=lambda case: case.events[0]["event_time"]
    )
    windows = [event for case in trends for event in case.events]
    events = [*calm, *windows, closing_event()]

    def done(rows: dict[str, Rows]) -> bool:
        return all(ids(case) not in missing(rows) for case in ALL if case.feature in ON_FLINK)

    def missing(rows: dict[str, Rows]) -> set[str]:
        return {ids(c) for c in ALL if c.feature in ON_FLINK and c.seen(rows.get(c.view.name, {})) != c.rows}

    return by_flink(settings, events, CUT, done)


def _for_flink(case: Case, settings: Settings) -> list[dict[str, Any]]:
    """The case's own events; for a view of the batch strand those that the cut may use, linked."""
    if case.view.strand is Strand.STREAM or case.view.purpose is None:
        return list(case.events)
    usable = Known(placed(case.events), CUT, settings).usable(case.view.purpose)
    return [{**event, "user_id": event["linked_user_id"]} for event in usable]


def closing_event() -> dict[str, Any]:
    """An event long after all others, which lets every window pass."""
    record = {
        "event_id": "closing",
        "event_name": "page_view",
        "schema_version": "1",
        "event_time": END_OF_TIME,
    }
    record |= {
        "received_time": END_OF_TIME,
        "visitor_id": "closing",
        "session_id": "closing",
        "platform": "web",
    }
    purposes = dict.fromkeys(("analytics", "personalization", "ads", "email", "push"), "granted")
    flat = read_event(record | {"consent": {**purposes, "changed_at": to_rfc3339(CUT.end)}}).event
    assert flat is not None
    return flat


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_the_reference_says_what_was_worked_out(case: Case, reference: dict[str, Rows]) -> None:
    assert case.seen(reference.get(case.view.name, {})) == case.rows


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_spark_says_what_was_worked_out(case: Case, in_spark: dict[str, Rows]) -> None:
    assert case.seen(in_spark.get(case.view.name, {})) == case.rows


@pytest.mark.parametrize("case", [case for case in ALL if case.feature in ON_FLINK], ids=ids)
def test_flink_says_what_was_worked_out(case: Case, in_flink: dict[str, Rows]) -> None:
    assert case.seen(in_flink.get(case.view.name, {})) == case.rows


@pytest.mark.parametrize("case", load_derived_cases(), ids=lambda case: f"{case.feature}/{case.name}")
def test_a_derived_feature_is_as_worked_out(case: DerivedCase) -> None:
    derived = next(one for one in DERIVED if one.name == case.feature)
    row = {name: case.row.get(name) for name in derived.inputs}
    assert set(case.row) <= set(derived.inputs)
    assert derived.function(row, Request(**case.request, now=micros(case.now))) == case.value


def test_every_feature_has_a_case() -> None:
    """A feature is one declaration and one case."""
    have = {path.parent.name for path in CASES.glob("*/*") if path.is_dir()}
    wanted = {*FEATURES, *(one.name for one in DERIVED)} - COMPUTED
    assert wanted - have == set()
    assert have - wanted == set()


def test_flink_computes_all_that_are_aggregates_of_events() -> None:
    apart = {
        f.name
        for view in EVERY_VIEW
        for f in view.features
        if f.source is Source.CATALOG or isinstance(f.aggregate, Computed | CoVisited)
    }
    assert set(FEATURES) - apart == ON_FLINK

"""Great Expectations: judges a gate's numbers, a row a day, and writes Data Docs (var/gx/uncommitted/data_docs)."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.expectations import Gate, Rule
from contracts.settings import Settings

# Before the import, which reads it: no telemetry.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.core.expect_column_values_to_be_between import (
    ExpectColumnValuesToBeBetween,
)

DAY = "cut_on"
SHOWN_RUNS = 3
"""Of each gate, in the index of Data Docs."""
logging.getLogger("great_expectations").setLevel(logging.WARNING)


def judge(
    settings: Settings, gate: Gate, rules: Sequence[Rule], numbers: Mapping[date, Mapping[str, float | None]]
) -> list[tuple[str, date]]:
    """The broken rules as (rule, day), in the order of the days; Data Docs show the run.

    Args:
        numbers: of each day, by rule; None is a number that does not exist, which breaks nothing.
    """
    context = gx.get_context(mode="file", project_root_dir=str(settings.var))
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    names = [rule.name for rule in rules]
    frame = pd.DataFrame(
        [{DAY: on.isoformat(), **{name: day[name] for name in names}} for on, day in numbers.items()]
    )
    frame[names] = frame[names].astype("float64")
    result = _validation(context, gate, rules).run(
        batch_parameters={"dataframe": frame},
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [DAY]},
    )
    _forget(settings.var / "gx" / "uncommitted" / "validations" / gate.value)
    context.build_data_docs()
    return sorted(_broken(result), key=lambda pair: pair[1])


def _forget(results: Path) -> None:
    """Drop all but the newest results: each build renders every one anew, a tenth of a second a run for ever.

    The pages of the dropped ones stay, and their verdicts stand in the gates' own log.
    """
    for old in sorted(results.glob("*/*"), key=lambda run: run.name)[:-SHOWN_RUNS]:
        shutil.rmtree(old)


def _validation(context: Any, gate: Gate, rules: Sequence[Rule]) -> Any:
    """The gate's suite over a pandas batch, stored anew so that the documents follow the declarations.

    Each gate has a data source of its own: storing one anew drops its assets, and definitions that name them cannot be read.
    """
    # Updating what is stored compares all expectations with each other: a second for a hundred of them.
    for stored in (context.validation_definitions, context.suites):
        if any(one.name == gate.value for one in stored.all()):
            stored.delete(gate.value)
    suite = context.suites.add(
        gx.ExpectationSuite(name=gate.value, expectations=[_expectation(rule) for rule in rules])
    )
    source = context.data_sources.add_or_update_pandas(name=gate.value)
    batch = source.add_dataframe_asset(name=gate.value).add_batch_definition_whole_dataframe("days")
    return context.validation_definitions.add(
        gx.ValidationDefinition(name=gate.value, data=batch, suite=suite)
    )


def _expectation(rule: Rule) -> Any:
    return ExpectColumnValuesToBeBetween(
        column=rule.name, min_value=rule.minimum, max_value=rule.allowed, notes=rule.doc
    )


def _broken(result: Any) -> list[tuple[str, date]]:
    return [
        (one.expectation_config.kwargs["column"], date.fromisoformat(row[DAY]))
        for one in result.results
        if not one.success
        for row in one.result["unexpected_index_list"]
    ]

"""What must hold of a day before it goes on, declared once, for three gates: bronze → silver, silver → gold, gold → online.

A `Rule` judges one number a day. Rules of rows are SQL conditions of a violation, a `Measure` is a figure that a day is
compared with other days by; all of a table compile to one aggregation (`spark_jobs.gates`), and Great Expectations judges
and documents the row of numbers. Most rules are made from the declarations (`declared`), the others written (`written`, `narrow`).
"""

from dataclasses import replace

from contracts.expectations import declared, narrow, written
from contracts.expectations.rules import (
    FEATURES,
    INGEST,
    ONLINE,
    Day,
    Gate,
    Measure,
    Rule,
)
from contracts.expectations.trends import rows_of
from contracts.settings import Settings

RULES = (
    *declared.field_rules(),
    *declared.field_trends(),
    *declared.feature_rules(),
    *written.RULES,
    *narrow.RULES,
)
MEASURES = (*declared.field_measures(), *written.MEASURES, *narrow.MEASURES)

__all__ = [
    "FEATURES",
    "INGEST",
    "MEASURES",
    "ONLINE",
    "RULES",
    "Day",
    "Gate",
    "Measure",
    "Rule",
    "measures_of",
    "rows_of",
    "rule_named",
    "rules_of",
]


def rules_of(gate: Gate, settings: Settings) -> tuple[Rule, ...]:
    """A gate's rules in the order of their declaration, with the limits that are settings."""
    return tuple(_with_settings(rule, settings) for rule in RULES if rule.gate is gate)


def rule_named(name: str) -> Rule:
    """The declared rule; KeyError names one that is not declared."""
    return {rule.name: rule for rule in RULES}[name]


def measures_of(gate: Gate, table: str) -> tuple[Measure, ...]:
    """The measures of a gate over one table."""
    return tuple(measure for measure in MEASURES if (measure.gate, measure.table) == (gate, table))


def _with_settings(rule: Rule, settings: Settings) -> Rule:
    return replace(rule, allowed=settings.reject_share) if rule.name == "reject_share" else rule

"""The page docs/features.md, from the declarations."""

from __future__ import annotations

from contracts.features import DERIVED, EVERY_VIEW, Computed, Derived, Feature, Source, Strand, Value, View

HEAD = """# Features

Made from `contracts/features/` by `python -m contracts.generate`; a test sees that it is current.

A *stored* feature is a pure aggregate of the set of events that its view's scope names: money and times are integers, lists are
in the order of (event_time, event_id), so every engine gives the same value. A *derived* feature is a pure function of stored
values, the request and now; serving takes the request's time, training the label's.

**A new feature** is one declaration and one case: a line in the view's file under `contracts/features/`, a folder under
`tests/cases/` ([how](../tests/cases/README.md)), then `python -m contracts.generate` and `make test`. Spark's and Flink's expressions,
the Feast field, the columns of the tables, the reference and this page follow from the line.
"""


def features_page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(_view(view) for view in EVERY_VIEW), _derived(DERIVED)])


def _view(view: View) -> str:
    where = (
        "Redis through Feast" if view.strand is Strand.STREAM else f"`{view.table}`, then Redis through Feast"
    )
    if view.source is Source.ITEMS:
        where = "the topic `item_trends`" if view.window_minutes else f"`{view.table}`"
    facts = [
        f"## {view.name}\n",
        f"One row a {' and '.join(f'`{key}`' for key in view.join_keys)}, {view.strand.value} strand, in {where}.",
        f"Scope: {view.scope}. Purpose: {view.purpose or 'none: it is what the others are asked of'}.",
        f"Fresh for {_duration(view.freshness_seconds)}. Version: ({', '.join(view.version)}).\n",
        "| feature | what | type | aggregate | of | default |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*facts, *(feature_line(view, feature) for feature in view.features), ""])


def feature_line(view: View, feature: Feature) -> str:
    """The feature's line in the table of its view."""
    cells = [
        f"`{feature.name}`",
        feature.description,
        feature.dtype.value,
        _aggregate(feature),
        _of(view, feature),
    ]
    return _line([*cells, _shown(feature.default)])


def _aggregate(feature: Feature) -> str:
    aggregate = feature.aggregate
    names = [f"{name}={getattr(aggregate, name)!r}" for name in aggregate.__slots__]
    given = [text for text in names if not text.endswith("=None")]
    return f"`{type(aggregate).__name__}({', '.join(given)})`"


def _of(view: View, feature: Feature) -> str:
    if isinstance(feature.aggregate, Computed):
        return "a job's output"
    if feature.source is Source.CATALOG:
        return f"catalog updates, {feature.days} days"
    kinds = ", ".join(f"`{name}`" for name in feature.events) or "all events"
    beside = " and ".join(f"`{column}` = {value}" for column, value in feature.where)
    trailing = (
        f"{feature.days} days"
        if feature.days
        else f"{view.window_minutes} minutes"
        if view.window_minutes
        else ""
    )
    return ", ".join(part for part in (kinds, beside, trailing) if part)


def _derived(derived: tuple[Derived, ...]) -> str:
    head = ["## Derived\n", "| feature | what | type | of | default |", "|---|---|---|---|---|"]
    lines = [
        _line(
            [
                f"`{one.name}`",
                one.description,
                one.dtype.value,
                ", ".join(f"`{name}`" for name in one.inputs) or "the request",
                _shown(one.default),
            ]
        )
        for one in derived
    ]
    return "\n".join([*head, *lines, ""])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _shown(value: Value) -> str:
    return "null" if value is None else str(value)


def _duration(seconds: int) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} seconds"

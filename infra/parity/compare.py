"""Values side by side: every stored value of every key in every engine that computes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.features import EVERY_VIEW, Computed, CoVisited, Feature, Source, View

Key = tuple[str, ...]
Rows = Mapping[Any, Mapping[str, Any]]
EXAMPLES = 5


def _declared() -> Counter[str]:
    """Every feature that engines compute, at 0: one that nothing was compared of must be seen."""
    return Counter(
        {f.name: 0 for view in EVERY_VIEW for f in view.features if not isinstance(f.aggregate, Computed)}
    )


@dataclass(slots=True)
class Compared:
    """What was compared so far.

    Attributes:
        values: keys × stored columns, each in all its engines.
        per_feature: of every declared feature, values that are not the default, equal in all engines.
    """

    keys: int = 0
    values: int = 0
    differences: int = 0
    per_feature: Counter[str] = field(default_factory=_declared)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, view: View, engines: Mapping[str, Rows]) -> None:
        """Compare a view's rows; a row that one engine lacks is a difference in each of its columns."""
        keys = {key for rows in engines.values() for key in rows}
        self.keys += len(keys)
        for key in keys:
            found = {name: rows.get(key) for name, rows in engines.items()}
            for column, default, only in _columns(view):
                asked = {name: row for name, row in found.items() if only is None or name in only}
                self._value(view, key, column, default, asked)

    def _value(
        self, view: View, key: Key, column: str, default: Any, found: Mapping[str, Mapping[str, Any] | None]
    ) -> None:
        self.values += 1
        values = {name: MISSING if row is None else row.get(column, MISSING) for name, row in found.items()}
        first = next(iter(values.values()))
        if any(value != first for value in values.values()) or first is MISSING:
            self.differences += 1
            if len(self.examples) < EXAMPLES:
                shown = {name: str(value) for name, value in values.items()}
                self.examples.append({"view": view.name, "key": list(key), "column": column, **shown})
        elif first != default:
            self.per_feature[column] += 1


class _Missing:
    def __str__(self) -> str:
        return "missing"


MISSING = _Missing()


def _columns(view: View) -> list[tuple[str, Any, Sequence[str] | None]]:
    """Each stored column with its default, and the engines that compute it where these are not all."""
    columns = [
        (f.name, f.default, _engines(f)) for f in view.features if not isinstance(f.aggregate, Computed)
    ]
    return [*columns, *((name, None, None) for name in view.carried)]


def _engines(feature: Feature) -> Sequence[str] | None:
    """Flink aggregates events of one entity, not pairs of entities nor catalog updates."""
    apart = feature.source is Source.CATALOG or isinstance(feature.aggregate, CoVisited)
    return ("reference", "spark") if apart else None

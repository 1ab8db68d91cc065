"""The model card of one version: what it is, what it learned from, how good it is for whom, and what the gate said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from models.gate import MARGIN, Verdict

ABOUT = {
    "two_tower": "Two towers: a query over the vectors of the items a shopper had, beside the vectors of the catalog.",
    "item_knn": "Item-kNN: cosine of items over sessions.",
    "popularity": "What was added most in 30 days, the same for everyone.",
}
LIMITS = (
    "Learned from additions to the cart of one shop; what was not shown could not be added. Fairness and effects over "
    "months were not measured."
)


def card_of(
    cut_on: date,
    *,
    params: Mapping[str, Any],
    kind: str,
    figures: Mapping[str, float],
    slices: Mapping[str, Mapping[str, Any]],
    verdict: Verdict | None,
) -> str:
    """Markdown."""
    parts = [
        f"# {kind}, cut {cut_on}",
        ABOUT.get(kind, ""),
        "## Training",
        _table(("", ""), params.items()),
        "## Validation",
        _table(("figure", "value"), ((name, f"{value:.4f}") for name, value in figures.items())),
    ]
    if slices:
        rows = ((n, s["cases"], s["mean"], f"{s['low']} … {s['high']}") for n, s in slices.items())
        parts += ["## Recall@20 by slice", _table(("slice", "cases", "mean", "95 %"), rows)]
    parts += ["## Gate", *_gate(verdict), "## Limits", LIMITS]
    return "\n\n".join(part for part in parts if part) + "\n"


def _gate(verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return ["It had no rival."]
    told = "Passed" if verdict.passes else "Refused"
    rule = f"{told}: worse than no rival overall, on no slice by more than {MARGIN}, is the rule."
    return [rule, *(f"- {reason}" for reason in verdict.reasons)]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)

"""The features bench's figures, pure: ratios, what a race left, and what is promised of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from infra.load.figures import percentiles

Version = tuple[int, int]
LEAST_MATERIALIZE, LEAST_SDK, LEAST_SERVE = 5, 5, 20
"""How many times faster than stock Feast."""
MOST_READ_P99_MS = 1
LEAST_WRITES, LEAST_VALUES = 100_000, 100_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one materialization took: of this process, of what it started (Spark), and of Redis."""

    seconds: float
    cpu_seconds: float


def materialized(ours: Sequence[Round], stock: Sequence[Round]) -> dict[str, Any]:
    """Every round, and how many times longer stock's median is than ours."""
    return {
        "ours": [asdict(of) for of in ours],
        "stock": [asdict(of) for of in stock],
        "ratio": _ratio([of.seconds for of in stock], [of.seconds for of in ours]),
        "ratio_cpu": _ratio([of.cpu_seconds for of in stock], [of.cpu_seconds for of in ours]),
    }


def contended(
    versions: Mapping[str, Sequence[Version]],
    ours: Mapping[str, Version | None],
    stock: Mapping[str, Version | None],
) -> dict[str, int]:
    """What is held against each entity's `versions`, which are in their order."""
    late = {key: of for key, of in versions.items() if is_late_correction(of)}
    return {
        "older_wins": not_newest(versions, ours),
        "stock_older_wins": not_newest(versions, stock),
        "late_corrections": len(late),
        "late_corrections_lost": not_newest(late, ours),
        "stock_late_corrections_lost": not_newest(late, stock),
    }


def is_late_correction(versions: Sequence[Version]) -> bool:
    """Whether the newest version has the time of the one before."""
    return len(versions) > 1 and versions[-1][0] == versions[-2][0]


def not_newest(versions: Mapping[str, Sequence[Version]], held: Mapping[str, Version | None]) -> int:
    """Entities that hold another row than that of their newest version, or none."""
    return sum(held[key] != of[-1] for key, of in versions.items())


def read(ours: Sequence[float], sdk: Sequence[float], serve: Sequence[float]) -> dict[str, Any]:
    """Percentiles of each way to read (seconds given), and how many times longer the others' medians are than ours."""
    found = {name: percentiles(of) for name, of in (("ours", ours), ("sdk", sdk), ("serve", serve))}
    return {
        "p50_ms": found["ours"].p50,
        "p99_ms": found["ours"].p99,
        "requests": len(ours),
        "ratio_sdk": _ratio(sdk, ours),
        "ratio_serve": _ratio(serve, ours),
        **{name: {"p50_ms": of.p50, "p99_ms": of.p99, "max_ms": of.max} for name, of in found.items()},
    }


def broken(report: Mapping[str, Any]) -> list[str]:
    """What the report promises and does not keep."""
    written, raced, reads = report["materialize"], report["contended"], report["read"]
    promises = (
        (written["ratio"] >= LEAST_MATERIALIZE, f"materialize: {written['ratio']} times stock Feast's speed, less than {LEAST_MATERIALIZE}"),
        (written["stock_rows"] == written["entities"], f"materialize: stock Feast wrote {written['stock_rows']:,} of {written['entities']:,} rows: no fair peer"),
        (written["differences"] == 0, f"materialize: {written['differences']:,} hashes differ from stock Feast's"),
        (raced["writes"] >= LEAST_WRITES, f"contended: only {raced['writes']:,} writes, {LEAST_WRITES:,} wanted"),
        (raced["older_wins"] == 0, f"contended: {raced['older_wins']:,} entities hold an older row"),
        (raced["late_corrections_lost"] == 0, f"contended: {raced['late_corrections_lost']:,} late corrections are lost"),
        (reads["p99_ms"] <= MOST_READ_P99_MS, f"read: p99 {reads['p99_ms']} ms, more than {MOST_READ_P99_MS}"),
        (reads["ratio_sdk"] >= LEAST_SDK, f"read: {reads['ratio_sdk']} times the SDK's speed, less than {LEAST_SDK}"),
        (reads["ratio_serve"] >= LEAST_SERVE, f"read: {reads['ratio_serve']} times `feast serve`'s speed, less than {LEAST_SERVE}"),
        (reads["values"] >= LEAST_VALUES, f"read: only {reads['values']:,} values compared, {LEAST_VALUES:,} wanted"),
        (reads["differences"] == 0, f"read: {reads['differences']:,} values differ from the SDK's"),
    )  # fmt: skip
    return [told for kept, told in promises if not kept]


def _ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    return round(median(slow) / median(fast), 2)

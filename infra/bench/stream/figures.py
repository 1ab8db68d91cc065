"""The figures of the stream bench, pure: rates, ratios, and what is promised of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEAST_RATIO = 5.0
MOST_FRESHNESS_MS = 250.0
AIM_PER_SECOND = 15_000
"""Of our rate; falling short of it is said in the report and breaks nothing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """So many events, from the first one sent to the last row stored; CPU-seconds by part of the stack."""

    events: int
    seconds: float
    cpu_seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Leg:
    """One number of live sessions. `wrong` sessions have not exactly the events that were produced."""

    sessions: int
    batches: tuple[Batch, ...]
    state_bytes: int
    memory_mib: Mapping[str, float]
    wrong: int

    @property
    def events(self) -> int:
        return sum(batch.events for batch in self.batches)

    @property
    def rate(self) -> float:
        return self.events / sum(batch.seconds for batch in self.batches)

    @property
    def cpu_seconds_per_million(self) -> dict[str, float]:
        """By part of the stack, and in all."""
        parts: dict[str, float] = {}
        for batch in self.batches:
            for name, seconds in batch.cpu_seconds.items():
                parts[name] = parts.get(name, 0.0) + seconds * 1e6 / self.events
        return {name: round(seconds, 1) for name, seconds in {**parts, "all": sum(parts.values())}.items()}


def summed_up(leg: Leg, report: Mapping[str, Any]) -> dict[str, Any]:
    """What the leg beside the peer says."""
    peer = report["peer"]
    return {
        "ours": {
            "events_per_second": round(leg.rate, 1),
            "aim_per_second": AIM_PER_SECOND,
            "batches": [{"events": b.events, "seconds": round(b.seconds, 2)} for b in leg.batches],
            "sessions": leg.sessions,
            "wrong_sessions": leg.wrong,
        },
        "pyflink_process": peer,
        "ratio": round(leg.rate / peer["events_per_second"], 2),
        "freshness_ms": report["freshness"],
        "cpu_seconds_per_million": leg.cpu_seconds_per_million,
    }


def shown(leg: Leg) -> dict[str, Any]:
    """A line of `growth`."""
    return {
        "sessions": leg.sessions,
        "events_per_second": round(leg.rate, 1),
        "state_mib": round(leg.state_bytes / 2**20, 1),
        "state_bytes_per_session": round(leg.state_bytes / leg.sessions),
        "memory_mib": {name: round(mib) for name, mib in leg.memory_mib.items()},
        "cpu_seconds_per_million": leg.cpu_seconds_per_million["all"],
        "wrong_sessions": leg.wrong,
    }


def broken(figures: Mapping[str, Any], legs: Sequence[Leg]) -> list[str]:
    """Promises that these figures do not keep."""
    found = [f"{leg.sessions:,} sessions: {leg.wrong} are wrong" for leg in legs if leg.wrong]
    if figures["ratio"] < LEAST_RATIO:
        found.append(f"ratio {figures['ratio']} is below {LEAST_RATIO:g}")
    freshness = figures["freshness_ms"]
    if freshness["unseen"]:
        found.append(f"{freshness['unseen']} events never became readable")
    if freshness["p99"] > MOST_FRESHNESS_MS:
        found.append(f"freshness p99 {freshness['p99']} ms is above {MOST_FRESHNESS_MS:g} ms")
    return found

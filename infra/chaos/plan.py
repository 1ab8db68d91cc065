"""What is killed and when, from a seed that the report names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

CHECKPOINT = "inside a checkpoint"
LOSE = "without its data"
TARGETS = (
    ("flink-taskmanager", CHECKPOINT),
    ("feature-writer", ""),
    ("redis", ""),
    ("flink-jobmanager", CHECKPOINT),
    ("gateway", ""),
    ("kafka", ""),
    ("redis", LOSE),
    ("flink-taskmanager", ""),
)
"""One round; every process of the stream's way is in it, and two kills fall into a checkpoint."""


@dataclass(frozen=True, slots=True)
class Kill:
    """`kill -9` of a unit, so many seconds after the one before has been recovered from."""

    unit: str
    how: str
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How much chaos: events per second, kills, and the seed of their moments."""

    seed: int
    kills: int = 24
    rate: int = 2_050
    sessions: int = 3_000
    """At once."""
    shortest_seconds: float = 1.0
    longest_seconds: float = 6.0

    def schedule(self) -> Iterator[Kill]:
        """Rounds of `TARGETS`, each in an order of its own."""
        chance, left = Random(self.seed), self.kills
        while left > 0:
            for unit, how in chance.sample(TARGETS, len(TARGETS))[:left]:
                yield Kill(unit, how, round(chance.uniform(self.shortest_seconds, self.longest_seconds), 2))
            left -= len(TARGETS)

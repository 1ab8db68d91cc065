"""How large the features bench is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of the three parts.

    Attributes:
        entities: rows of the wide table; `rounds`: how often each store materializes it.
        keys: entities that two writers contend for; `versions`: rows of each.
        shoppers: of whom a request each is read; `warm_up`: requests before them that are not timed.
    """

    entities: int = 200_000
    rounds: int = 3
    keys: int = 4_000
    versions: int = 25
    shoppers: int = 3_000
    warm_up: int = 100
    seed: int = 0

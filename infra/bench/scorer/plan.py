"""How large the scorer's bench is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and rates.

    Attributes:
        items: of the catalog that everything is measured on; `growth`: sizes that the scorer is asked at alone.
        shoppers: with rows of every view in Redis, of items that each size of the catalog has; one of a hundred is in a session.
        seconds: of each measured leg; `rounds`: how often ours and the tutorial's take turns.
        updates: of the catalog, a second; `events`: of shoppers, a second. Both flow while the scorer is asked.
        tutorial_items: whose features Feast's store holds for the tutorial.
    """

    items: int = 500_000
    growth: tuple[int, ...] = (50_000, 2_000_000)
    shoppers: int = 1_000_000
    seconds: int = 20
    rounds: int = 2
    updates: int = 100
    events: int = 200
    tutorial_items: int = 50_000

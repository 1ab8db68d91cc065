"""The size of the simulated shop; the same parameters give the same shop and the same days."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ShopParameters:
    """A shop.

    Attributes:
        first_day: when it opened; it has no day before.
    """

    seed: int = 1
    items: int = 2000
    shoppers: int = 3000
    sessions_per_day: int = 120
    first_day: date = date(2010, 12, 1)

    @staticmethod
    def of(options: argparse.Namespace) -> ShopParameters:
        """The shop that the options of `add_arguments` describe."""
        return ShopParameters(options.seed, options.items, options.shoppers, options.sessions_per_day)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a simulated shop; other sources do not read them."""
    group = parser.add_argument_group("the simulator's shop")
    default = ShopParameters()
    group.add_argument("--seed", type=int, default=default.seed)
    group.add_argument("--items", type=int, default=default.items)
    group.add_argument("--shoppers", type=int, default=default.shoppers)
    group.add_argument("--sessions-per-day", type=int, default=default.sessions_per_day)

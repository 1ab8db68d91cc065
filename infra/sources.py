"""Every source by name: the adapters' files, and the simulator's shop."""

from __future__ import annotations

from contracts.adapters.sources import ADAPTERS, open_source
from contracts.adapters.wire import Source
from contracts.settings import Settings
from infra.simulator.parameters import ShopParameters
from infra.simulator.source import SimulatedShop

SIMULATOR = "simulator"
SOURCES = (*ADAPTERS, SIMULATOR)


def source_named(
    settings: Settings, name: str, shop: ShopParameters | None = None, vouch: tuple[str, ...] = ()
) -> Source:
    """The source `name`; `shop` is the size of the simulator's shop, `vouch` the purposes that the shop vouches for.

    Raises:
        SourceError: no such source, or its files are missing.
    """
    if name == SIMULATOR:
        return SimulatedShop(shop or ShopParameters())
    return open_source(name, settings.data, vouch)

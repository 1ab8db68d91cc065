"""The places where a shop shows recommendations."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.errors import UnknownPlacementError


@dataclass(frozen=True, slots=True)
class Placement:
    """One place: how many items it shows by default and at most."""

    name: str
    doc: str
    default_count: int = 10
    max_count: int = 100


PLACEMENTS = {
    placement.name: placement
    for placement in (
        Placement("home", "The shop's first page"),
        Placement("product", "Beside one product"),
        Placement("cart", "On the cart page"),
        Placement("email", "The daily list for e-mail and CRM"),
    )
}


def placement_named(name: str) -> Placement:
    """The placement called `name`.

    Raises:
        UnknownPlacementError: no such placement is declared.
    """
    try:
        return PLACEMENTS[name]
    except KeyError:
        known = ", ".join(sorted(PLACEMENTS))
        raise UnknownPlacementError(f"placement {name!r} is not declared; known are {known}") from None

"""A unit of the local stack: one process, what it needs, and how one sees that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import BraidError


class StackError(BraidError):
    """The local stack cannot do what was asked; the message names the unit and the way out."""


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Unit:
    """One process of the stack.

    `command[0]` is looked up on the path; `needs` are files that must exist before a start; `ports` are names of
    `contracts.settings.PORTS`; `prepare` writes its configuration; `once` marks a command that does its work and
    ends with 0, and is run again only when `healthy` says no; `niceness`, from 0 to 19, is how far it yields to the others
    where all want the cores.
    """

    name: str
    command: tuple[str, ...]
    healthy: Callable[[], bool]
    depends_on: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Path, ...] = ()
    prepare: Callable[[], None] = _nothing
    once: bool = False
    limit_seconds: float = 120.0
    stop_seconds: int = 15
    niceness: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a unit: state is running, not answering, done, dead or stopped."""

    name: str
    state: str
    pid: int | None
    ports: tuple[int, ...]
    log: Path
    detail: str = ""


def with_dependencies(units: Mapping[str, Unit], names: tuple[str, ...]) -> list[Unit]:
    """The named units and all they depend on, each after its dependencies.

    Raises:
        StackError: a name is no unit, or units depend on each other in a circle.
    """
    ordered: dict[str, Unit] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in ordered:
            return
        if name in path:
            raise StackError(f"units depend on each other in a circle: {' -> '.join((*path, name))}")
        if name not in units:
            raise StackError(f"{name!r} is no unit of the stack; there are {', '.join(units)}")
        for dependency in units[name].depends_on:
            visit(dependency, (*path, name))
        ordered[name] = units[name]

    for name in names:
        visit(name, ())
    return list(ordered.values())


def stop_waves(units: Mapping[str, Unit], names: set[str]) -> list[list[str]]:
    """The named units in waves for stopping: whoever depends on a unit goes in an earlier wave."""
    left, waves = set(names), []
    while left:
        needed = {dependency for name in left if name in units for dependency in units[name].depends_on}
        wave = sorted(left - needed)
        if not wave:
            raise StackError(f"units depend on each other in a circle: {', '.join(sorted(left))}")
        waves.append(wave)
        left -= set(wave)
    return waves

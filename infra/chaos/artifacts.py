"""A published snapshot damaged in a thousand ways: bits flipped, files cut short, files swapped. None may be opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from infra.bench.scorer import catalog
from models.decide.artifacts import open_served
from scorer.snapshots import UNUSABLE, check

ITEMS = 300
Damage = Callable[[Random, list[Path]], dict[Path, bytes]]


def run_damages(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Damage, try to open, mend; in turn flips, truncations and swaps, in files by chance."""
    version = catalog.publish(folder, ITEMS, visits=500)
    files = sorted((folder / version).iterdir())
    check(open_served(folder / version))
    chance, opened = Random(seed), []
    for number in range(count):
        damage = DAMAGES[number % len(DAMAGES)]
        changed = damage(chance, files)
        before = {path: path.read_bytes() for path in changed}
        for path, content in changed.items():
            path.write_bytes(content)
        try:
            check(open_served(folder / version))
            opened.append(f"{damage.__name__}: {', '.join(path.name for path in changed)}")
        except UNUSABLE:
            pass
        for path, content in before.items():
            path.write_bytes(content)
    check(open_served(folder / version))
    return {"damaged": count, "refused": count - len(opened), "opened": opened[:10]}


def bit_flipped(chance: Random, files: list[Path]) -> dict[Path, bytes]:
    """One bit of one file."""
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return {path: bytes(content)}


def cut_short(chance: Random, files: list[Path]) -> dict[Path, bytes]:
    """The first part of one file."""
    path = chance.choice(files)
    content = path.read_bytes()
    return {path: content[: chance.randrange(len(content))]}


def swapped(chance: Random, files: list[Path]) -> dict[Path, bytes]:
    """Two files that differ, each in the other's place."""
    while True:
        one, other = chance.sample(files, 2)
        contents = one.read_bytes(), other.read_bytes()
        if contents[0] != contents[1]:
            return {one: contents[1], other: contents[0]}


DAMAGES: tuple[Damage, ...] = (bit_flipped, cut_short, swapped)

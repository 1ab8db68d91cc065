"""A published snapshot damaged in a thousand ways: bits flipped, files cut short, files swapped. None may come to serve, and what serves stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from infra.bench.scorer import catalog
from models.decide.artifacts import set_current
from models.decide.shelf import Shelf
from scorer.metrics import Metrics
from scorer.policies import Policies
from scorer.snapshots import Follower

ITEMS = 300
Damage = Callable[[Random, list[Path]], dict[Path, bytes]]


def run_damages(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Damage the newer of two snapshots, publish it to a scorer's follower that serves the older, mend it; in turn flips, truncations and
    swaps, in files by chance."""
    # A refusal is an error of a scorer's log; here it is what is asked for.
    logging.disable(logging.ERROR)
    try:
        return asyncio.run(_damaged(folder, count, seed))
    finally:
        logging.disable(logging.NOTSET)


async def _damaged(folder: Path, count: int, seed: int) -> dict[str, Any]:
    good, newer = (catalog.publish(folder, ITEMS, seed=n, visits=500) for n in range(2))
    set_current(folder, good)
    policy = folder.with_name("policy.toml")
    policy.write_text("")
    metrics = Metrics()
    follower = Follower(folder, Shelf.of, Policies(policy, metrics), metrics)

    async def serving() -> str | None:
        await follower.look()
        return follower.serving.snapshot.version if follower.serving else None

    assert await serving() == good
    files = sorted((folder / newer).iterdir())
    chance, opened = Random(seed), []
    for number in range(count):
        damage = DAMAGES[number % len(DAMAGES)]
        # Damaged after it was published: what publishes reads the manifest, too.
        set_current(folder, newer)
        changed = damage(chance, files)
        before = {path: path.read_bytes() for path in changed}
        for path, content in changed.items():
            path.write_bytes(content)
        if await serving() != good:
            opened.append(f"{damage.__name__}: {', '.join(path.name for path in changed)}")
        for path, content in before.items():
            path.write_bytes(content)
        set_current(folder, good)
        await serving()
    refused = metrics.registry.get_sample_value("braid_scorer_snapshots_refused_total")
    set_current(folder, newer)
    assert await serving() == newer
    return {"damaged": count, "refused": int(refused or 0), "opened": opened[:10]}


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
    # Without the end of its last line a text is whole.
    return {path: content[: chance.randrange(len(content.rstrip()))]}


def swapped(chance: Random, files: list[Path]) -> dict[Path, bytes]:
    """Two files that differ, each in the other's place."""
    while True:
        one, other = chance.sample(files, 2)
        contents = one.read_bytes(), other.read_bytes()
        if contents[0] != contents[1]:
            return {one: contents[1], other: contents[0]}


DAMAGES: tuple[Damage, ...] = (bit_flipped, cut_short, swapped)

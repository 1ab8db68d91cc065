"""Faults planted into the rows of a whole training: does anything that learned from them get to serve?

All candidates of a faulty training read the same faulty rows, and are held against a two-tower of clean rows that serves: what
passes then is a miss of the gate. A clean training beside them must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.decide.query import NO_ITEM, SESSION_KIND, USER_KIND
from models.evaluation.shop import Shop, without_session
from models.evaluation.slices import tail_items
from models.examples import Examples
from models.gate import leak_of
from models.registry import Training
from models.train import Fit
from models.training import baselines, measured, two_tower

Say = Callable[[str], None]


def faults_section(shop: Shop, fit: Fit, say: Say) -> dict[str, Any]:
    """Train on each kind of faulty rows and on clean ones; what the gate said."""
    _, standing = two_tower(shop.catalog, shop.train, fit)

    def trained(train: Examples, asked: Examples) -> dict[str, Any]:
        if leak := leak_of(train):
            return {"refused": True, "reasons": [leak]}
        fitted = [two_tower(shop.catalog, train, fit), *baselines(shop.catalog, train)]
        candidates, stands = measured(fitted, standing, train, asked, shop.items)
        training = Training(asked.days.max().item(), {}, candidates, stands)
        reasons = [reason for one in candidates if one.verdict for reason in one.verdict.reasons]
        return {"refused": training.promoted is None, "reasons": reasons[:5]}

    found = {}
    for name, plant in FAULTS.items():
        found[name] = trained(*plant(shop))
        say(f"gate: {name} {'refused' if found[name]['refused'] else 'PASSED'}")
    refused = sum(one["refused"] for one in found.values())
    clean = trained(shop.train, shop.asked)
    return {"faults_planted": len(found), "faults_refused": refused, "faults": found, "clean": clean}


def labels_shuffled(shop: Shop) -> tuple[Examples, Examples]:
    """Each example has another's label."""
    labels = np.random.default_rng(0).permutation(shop.train.labels)
    return replace(shop.train, labels=labels), shop.asked


def tail_dropped(shop: Shop) -> tuple[Examples, Examples]:
    """No example of an item beyond the most frequent ones."""
    tail = tail_items(shop.train.interactions().counts(shop.items))
    return shop.train.where(~tail[shop.train.labels]), shop.asked


def cart_leaks(shop: Shop) -> tuple[Examples, Examples]:
    """Features joined as of the event: the added item is in the session and in the cart already."""

    def leak(examples: Examples) -> Examples:
        label = examples.labels[:, None]
        others = np.where(examples.carted == label, NO_ITEM, examples.carted)
        carted = np.hstack([label, others[:, :-1]]).astype(np.int32)
        return replace(_first_slot(examples, SESSION_KIND), carted=carted)

    return leak(shop.train), leak(shop.asked)


def user_leaks(shop: Shop) -> tuple[Examples, Examples]:
    """The user's row of tomorrow joined today: what was added stands first among the items had before."""
    train, asked = (without_session(part) for part in (shop.train, shop.asked))
    return _first_slot(train, USER_KIND), _first_slot(asked, USER_KIND)


def _first_slot(examples: Examples, kind: int) -> Examples:
    """The label in the first slot, the others moved down."""
    label = examples.labels[:, None]
    return replace(
        examples,
        positions=np.hstack([label, examples.positions[:, :-1]]).astype(np.int32),
        kinds=np.hstack([np.full_like(label, kind), examples.kinds[:, :-1]]).astype(np.int32),
    )


FAULTS: Mapping[str, Callable[[Shop], tuple[Examples, Examples]]] = {
    "labels shuffled": labels_shuffled,
    "tail items dropped": tail_dropped,
    "session and cart of after the event": cart_leaks,
    "user's items of after the event": user_leaks,
}

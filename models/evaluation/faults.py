"""Faults planted into the rows of a whole training: does anything that learned from them get to serve?

All candidates of a faulty training read the same faulty rows, and are held against a two-tower of clean rows that serves: what
passes then is a miss of the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.errors import ModelsError
from models.evaluation.cases import NO_ITEM
from models.evaluation.search import Params
from models.evaluation.shop import Shop
from models.evaluation.shop_methods import fit_of
from models.evaluation.slices import tail_items
from models.examples import Examples
from models.registry import Training
from models.training import baselines, measured, two_tower

Say = Callable[[str], None]


def faults_section(shop: Shop, params: Params, say: Say) -> dict[str, Any]:
    """Train on each kind of faulty rows; what the gate said."""
    fit = fit_of(params)
    _, standing = two_tower(shop.catalog, shop.train, fit)
    found: dict[str, dict[str, Any]] = {}
    for name, plant in FAULTS.items():
        train, asked = plant(shop)
        try:
            fitted = [two_tower(shop.catalog, train, fit), *baselines(shop.catalog, train)]
            candidates, stands = measured(fitted, standing, train, asked, shop.items)
        except ModelsError as error:
            found[name] = {"refused": True, "reasons": [str(error)]}
        else:
            training = Training(asked.days.max().item(), {}, candidates, stands)
            reasons = [reason for one in candidates if one.verdict for reason in one.verdict.reasons]
            found[name] = {"refused": training.promoted is None, "reasons": reasons[:5]}
        say(f"gate: {name} {'refused' if found[name]['refused'] else 'PASSED'}")
    refused = sum(one["refused"] for one in found.values())
    return {"faults_planted": len(found), "faults_refused": refused, "faults": found}


def labels_shuffled(shop: Shop) -> tuple[Examples, Examples]:
    """Each example has another's label."""
    labels = np.random.default_rng(0).permutation(shop.train.labels)
    return replace(shop.train, labels=labels), shop.asked


def tail_dropped(shop: Shop) -> tuple[Examples, Examples]:
    """No example of an item beyond the most frequent ones."""
    tail = tail_items(shop.train.interactions().counts(shop.items))
    return shop.train.where(~tail[shop.train.labels]), shop.asked


def features_leak(shop: Shop) -> tuple[Examples, Examples]:
    """Features joined as of the event: the added item is in the session and in the cart already."""
    return _with_label(shop.train), _with_label(shop.asked)


def _with_label(examples: Examples) -> Examples:
    label = examples.labels[:, None]
    first = np.ones_like(label)  # of the session
    return replace(
        examples,
        positions=np.hstack([label, examples.positions[:, :-1]]).astype(np.int32),
        kinds=np.hstack([first, examples.kinds[:, :-1]]).astype(np.int32),
        carted=np.hstack(
            [label, np.where(examples.carted == label, NO_ITEM, examples.carted)[:, :-1]]
        ).astype(np.int32),
    )


FAULTS: Mapping[str, Callable[[Shop], tuple[Examples, Examples]]] = {
    "labels shuffled": labels_shuffled,
    "tail items dropped": tail_dropped,
    "features of after the event": features_leak,
}

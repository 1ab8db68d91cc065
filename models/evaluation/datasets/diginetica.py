"""Diginetica (CIKM Cup 2016) in the split of SR-GNN (arXiv:1811.00855): the next click of every test prefix.

Repeats are candidates. Validation is the last tenth of the training sessions as the file orders them, all prefixes; its
models learn from the nine tenths before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.errors import ModelsError
from models.evaluation.cases import Dataset, Ints, NextItem, Ragged
from models.evaluation.datasets.files import lines, numbers

PUBLISHED = {
    "last_item_knn": {"p20": 0.371, "mrr20": 0.120},
    "sr_gnn": {"p20": 0.5073, "mrr20": 0.1759},
}
VALIDATED = 0.1


def read_diginetica(data: Path) -> Dataset:
    """186,670 sessions, 43,097 items, 60,858 test prefixes.

    Raises:
        ModelsError: a file is missing or no such file.
    """
    folder = data / "diginetica"
    train_path, test_path = folder / "train_sessions.txt.gz", folder / "test_prefix_target.txt.gz"
    named = [numbers(line, train_path) for line in lines(train_path)]
    ids = {item: number for number, item in enumerate(sorted({item for row in named for item in row}))}
    train = Ragged.of([[ids[item] for item in row] for row in named])
    first = int(len(train) * (1 - VALIDATED))
    tested, targets = _tested(test_path, ids)
    return Dataset(
        name="diginetica",
        items=len(ids),
        tuning_train=train.where(slice(0, first)),
        validation=_prefixes(train.where(slice(first, None))),
        train=train,
        test=NextItem(tested, targets, _sessions(tested), masks_history=False),
        measures={"p20": ("recall", 20), "mrr20": ("reciprocal", 20)},
        published=PUBLISHED,
    )


def _tested(path: Path, ids: dict[int, int]) -> tuple[Ragged, Ints]:
    prefixes, targets = [], []
    for line in lines(path):
        prefix, _, target = line.partition("\t")
        if not target:
            raise ModelsError(f"{path}: {line[:80]!r} is no prefix and target")
        prefixes.append([ids[item] for item in numbers(prefix, path) if item in ids])
        targets.append(ids[int(target)])
    return Ragged.of(prefixes), np.array(targets, np.int32)


def _sessions(prefixes: Ragged) -> Ints:
    """A number for each session: its prefixes follow each other, each one item shorter than the one before."""
    lengths = prefixes.lengths
    starts = np.ones(len(prefixes), bool)
    starts[1:] = lengths[1:] != lengths[:-1] - 1
    found: Ints = np.cumsum(starts).astype(np.int32)
    return found


def _prefixes(sessions: Ragged) -> NextItem:
    found, labels, of_session = sessions.prefixes()
    return NextItem(found, labels, of_session.astype(np.int32), masks_history=False)

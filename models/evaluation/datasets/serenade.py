"""The example files of Serenade (Kersbergen, Sprangers, Schelter 2022, doi:10.1145/3514221.3517901): next clicks.

Every click of a session but the first is asked for, given those before it; repeats are candidates. Items that no
training session has are part of neither history nor question.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.errors import ModelsError
from models.evaluation.cases import Dataset, NextItem, Ragged
from models.evaluation.datasets.files import lines

PUBLISHED = {"vmis_knn": {"hr20": 0.6402, "mrr20": 0.3277}}
Sessions = list[list[int]]


def read_serenade(data: Path) -> Dataset:
    """23,753 sessions, 18,009 items.

    Raises:
        ModelsError: a file is missing or no such file.
    """
    train, valid, test = (
        _sessions(data / "serenade" / f"{name}.txt.gz") for name in ("train", "valid", "test")
    )
    ids = {item: number for number, item in enumerate(sorted({item for row in train for item in row}))}
    learned = Ragged.of([[ids[item] for item in row] for row in train])
    return Dataset(
        name="serenade",
        items=len(ids),
        tuning_train=learned,
        validation=_asked(valid, ids),
        train=learned,
        test=_asked(test, ids),
        measures={"hr20": ("recall", 20), "mrr20": ("reciprocal", 20)},
        published=PUBLISHED,
    )


def _sessions(path: Path) -> Sessions:
    """Item ids of each session in the order of its clicks; sessions in the order of their last click."""
    clicks: dict[int, list[tuple[float, int, int]]] = {}
    rows = lines(path)
    if next(rows, "") != "SessionId\tItemId\tTime":
        raise ModelsError(f"{path} does not begin with SessionId, ItemId, Time")
    for place, line in enumerate(rows):
        try:
            session, item, time = line.split("\t")
            clicks.setdefault(int(session), []).append((float(time), place, int(item)))
        except ValueError:
            raise ModelsError(f"{path}: {line[:80]!r} is no click") from None
    ordered = sorted((sorted(found) for found in clicks.values()), key=lambda found: found[-1])
    return [[item for _, _, item in found] for found in ordered]


def _asked(sessions: Sessions, ids: dict[int, int]) -> NextItem:
    known = Ragged.of([[ids[item] for item in row if item in ids] for row in sessions])
    histories, labels, of_session = known.prefixes()
    return NextItem(histories, labels, of_session.astype(np.int32), masks_history=False)

"""The candidates' own files: arrays and JSON, written and read without pickle."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.baselines.item_knn import Knn
from models.decide.array_files import array_file, read_sessions
from models.decide.artifacts import SESSIONS
from models.decide.blend import Blend
from models.decide.query import NO_ITEM
from models.decide.sessions import SessionIndex, moved
from models.evaluation.cases import Floats

VOCABULARY = "vocabulary.json"
ITEMS = "items.json"
KNN = "knn.npz"
POPULARITY = "popularity.npy"
QUERY_TOWER = "query_tower.tflite"
ITEM_TOWER = "item_tower.tflite"
WEIGHTS = "weights.npz"
BLEND = "blend.json"
WORD_VECTORS = "word_vectors.npy"
LAYOUT_OF = "layout.txt"
RANKER = "ranker.txt"


def knn_files(items: Sequence[str], knn: Knn) -> dict[str, bytes]:
    out = io.BytesIO()
    np.savez(out, neighbours=knn.neighbours, scores=knn.scores)
    return {ITEMS: to_json(list(items)), KNN: out.getvalue()}


def popularity_files(items: Sequence[str], counts: Floats) -> dict[str, bytes]:
    return {ITEMS: to_json(list(items)), POPULARITY: array_file(counts)}


def read_blend(folder: Path) -> Blend:
    """The weights that a two-tower is served with."""
    return Blend(**json.loads((folder / BLEND).read_text()))


def read_ranker(folder: Path) -> bytes | None:
    """A two-tower's trees; None where its blend serves as it is."""
    path = folder / RANKER
    return path.read_bytes() if path.is_file() else None


def layout_of(folder: Path) -> str | None:
    """The layout of the questions that a two-tower reads; None of one from before layouts were named."""
    path = folder / LAYOUT_OF
    return path.read_text().strip() if path.is_file() else None


def read_word_vectors(folder: Path) -> Floats:
    """float32[buckets, 64], of a two-tower's text encoder."""
    found: Floats = np.load(folder / WORD_VECTORS, allow_pickle=False)
    return found


def weights_file(weights: Mapping[str, Floats]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **weights)
    return out.getvalue()


def read_weights(folder: Path) -> dict[str, Floats] | None:
    """The towers' weights by name; None where the version has none."""
    try:
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            return dict(stored)
    except FileNotFoundError:
        return None


def read_visits(folder: Path, index: Mapping[str, int]) -> SessionIndex:
    """A two-tower's past visits in the rows of another catalog; items that `index` lacks fall away."""
    items: list[str] = json.loads((folder / ITEMS).read_text())
    row_of = np.array([index.get(item, NO_ITEM) for item in items], np.int32)
    return moved(read_sessions((folder / SESSIONS).read_bytes()), row_of, len(index))


def read_vocabulary(folder: Path) -> dict[str, int]:
    vocabulary: dict[str, int] = json.loads((folder / VOCABULARY).read_text())
    return vocabulary


def read_knn(folder: Path, index: Mapping[str, int]) -> Knn:
    """The neighbours in the rows of another catalog; items that `index` lacks fall away, the rest move up."""
    with np.load(folder / KNN, allow_pickle=False) as stored:
        old = Knn(stored["neighbours"], stored["scores"])
    items: list[str] = json.loads((folder / ITEMS).read_text())
    row_of = np.array(
        [*(index.get(item, NO_ITEM) for item in items), NO_ITEM], np.int32
    )  # the last is for -1
    moved = row_of[old.neighbours]
    order = np.argsort(moved == NO_ITEM, axis=1, kind="stable")
    moved = np.take_along_axis(moved, order, axis=1)
    scores = np.where(moved == NO_ITEM, np.float32(0), np.take_along_axis(old.scores, order, axis=1))
    there = row_of[:-1] != NO_ITEM
    width = old.neighbours.shape[1]
    new = Knn(np.full((len(index), width), NO_ITEM, np.int32), np.zeros((len(index), width), np.float32))
    new.neighbours[row_of[:-1][there]] = moved[there]
    new.scores[row_of[:-1][there]] = scores[there]
    return new


def to_json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()

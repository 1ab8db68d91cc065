"""The served snapshot's files: same content, same version; a changed byte is refused by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from contracts.clock import from_micros, to_micros
from models.decide.artifacts import (
    current_version,
    forget_old,
    open_snapshot,
    served_before,
    set_current,
    write_snapshot,
)
from models.decide.cohorts import Cohorts
from models.decide.manifest import sealed
from models.decide.ranker import NUMBERS
from models.decide.sessions import SessionIndex, session_index
from models.decide.snapshot import Snapshot, SnapshotError

EARLY, LATE = from_micros(0), from_micros(10**15)


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot(
        ids=("a", "b"),
        index={"a": 0, "b": 1},
        titles=("Mug", "Tasse à café"),
        categories=("home > mugs", None),
        brands=(None, "Café & Co"),
        price_minor=(100, 250),
        currency=("GBP", "EUR"),
        in_stock=np.array([True, False]),
        offered_at=np.array([1, 2]),
        campaigns=("autumn", None),
        ships_in_days=np.array([3, -1], np.int32),
        numbers=np.zeros((2, len(NUMBERS)), np.float32),
        vectors=np.eye(2, 64, dtype=np.float32),
        word_vectors=np.ones((3, 64), np.float32),
        popularity=np.array([3, 1], np.float32),
        neighbours=np.array([[1, -1], [0, -1]], np.int32),
        scores=np.array([[0.5, 0], [0.5, 0]], np.float32),
        sessions=session_index(np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), 2),
        kind="two_tower",
        version="",
        model_version="two_tower-1",
        cut_on="2011-08-29",
        cohorts=Cohorts(["France"], np.array([[1, 0]], np.int32), np.array([[0.5, 0.25]], np.float32)),
    )


def plain(value: object) -> object:
    if isinstance(value, SessionIndex | Cohorts):
        return asdict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def test_what_is_written_is_what_is_opened(tmp_path: Path, snapshot: Snapshot):
    version = write_snapshot(tmp_path, snapshot, None, EARLY)
    opened = open_snapshot(tmp_path / version)
    assert version.startswith("2011-08-29-two_tower-1-")
    assert opened.version == version
    for name in Snapshot.__slots__:
        if name not in {"version", "near"}:
            np.testing.assert_equal(plain(getattr(opened, name)), plain(getattr(snapshot, name)), name)


def test_the_same_content_is_the_same_version_and_bytes(tmp_path: Path, snapshot: Snapshot):
    version = write_snapshot(tmp_path, snapshot, b"tower", EARLY)
    before = {path.name: path.read_bytes() for path in (tmp_path / version).iterdir()}
    assert write_snapshot(tmp_path, snapshot, b"tower", LATE) == version
    assert {path.name: path.read_bytes() for path in (tmp_path / version).iterdir()} == before
    dearer = replace(snapshot, price_minor=(101, 250))
    assert write_snapshot(tmp_path, dearer, b"tower", EARLY) != version


@pytest.mark.parametrize(
    "name", ["items.json", "vectors.npy", "titles.npy", "near.faiss", "sessions_items.npy"]
)
def test_a_changed_or_missing_file_is_refused_by_name(tmp_path: Path, snapshot: Snapshot, name: str):
    folder = tmp_path / write_snapshot(tmp_path, snapshot, None, EARLY)
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(SnapshotError, match=name):
        open_snapshot(folder)
    (folder / name).unlink()
    with pytest.raises(SnapshotError, match=name):
        open_snapshot(folder)


def test_a_snapshot_of_before_states_had_times_is_as_of_its_cut(tmp_path: Path, snapshot: Snapshot):
    folder = tmp_path / write_snapshot(tmp_path, snapshot, None, EARLY)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["files"]["offered_at.npy"], manifest["sha256"]
    (folder / "manifest.json").write_bytes(sealed(manifest))
    (folder / "offered_at.npy").unlink()
    end = to_micros(datetime(2011, 8, 30, tzinfo=UTC))
    assert open_snapshot(folder).offered_at.tolist() == [end, end]


def test_hourly_snapshots_push_neither_the_one_before_nor_yesterdays_out(tmp_path: Path, snapshot: Snapshot):
    def serve(cut_on: str, price: int) -> str:
        version = write_snapshot(
            tmp_path, replace(snapshot, cut_on=cut_on, price_minor=(price, 250)), None, from_micros(price)
        )
        set_current(tmp_path, version)
        forget_old(tmp_path, 5)
        return version

    yesterday = serve("2011-08-28", 1)
    today = [serve("2011-08-29", price) for price in range(2, 10)]
    assert current_version(tmp_path) == today[-1]
    there = [version for version in served_before(tmp_path) if (tmp_path / version).is_dir()]
    assert there == [today[-2], yesterday]
    (tmp_path / "current.json").write_text('{"version": 3}')
    assert serve("2011-08-29", 10) == current_version(tmp_path)


def test_current_names_only_what_exists(tmp_path: Path, snapshot: Snapshot):
    assert current_version(tmp_path) is None
    version = write_snapshot(tmp_path, snapshot, None, EARLY)
    set_current(tmp_path, version)
    with pytest.raises(SnapshotError, match=r"manifest\.json"):
        set_current(tmp_path, "no-such")
    assert current_version(tmp_path) == version
    assert sorted(path.name for path in tmp_path.iterdir()) == [version, "current.json"]

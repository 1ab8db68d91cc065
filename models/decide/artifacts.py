"""The rim of the decision library: writes, checks and opens the served snapshot's files."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.clock import to_micros, to_rfc3339
from contracts.cuts import Cut
from contracts.policy import PLAIN, Policy
from models.decide.array_files import array_file, mapped
from models.decide.blend import Blend
from models.decide.cohorts import Cohorts, no_cohorts
from models.decide.columns import Coded, Texts
from models.decide.layout import LAYOUT
from models.decide.manifest import MANIFEST, check_file, read_manifest, sealed, sha256, to_json
from models.decide.near import read_index
from models.decide.ranker import Items, ranked_by, read_ranker
from models.decide.sessions import SessionIndex
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot, SnapshotError
from models.decide.tower import QueryTower, tower_query

TOWER = "query_tower.tflite"
RANKER = "ranker.txt"
BLEND = "blend.json"
SESSIONS = "sessions.npz"
CURRENT = "current.json"
BROKEN = (ValueError, KeyError, TypeError)
"""What a pointer that is none raises; it is written over."""
REMEMBERED = 4
"""Versions that served before the current one."""
STAGED = "staged-{cut_on}.json"
ARRAYS = {
    "price_minor": np.int64,
    "in_stock": np.bool_,
    "ships_in_days": np.int32,
    "numbers": np.float32,
    "vectors": np.float32,
    "word_vectors": np.float32,
    "popularity": np.float32,
    "neighbours": np.int32,
    "scores": np.float32,
}
"""Of a snapshot's arrays what they are stored as, each in a file of its own, which is mapped."""
OFFERED = "offered_at"
COHORTS = ("cohort_items", "cohort_scores")
"""What a snapshot of an earlier version may lack, as it may lack OFFERED."""
CODED = ("categories", "brands", "currency", "campaigns")
NEAR = "near.faiss"
FILES = {
    "items.json",
    NEAR,
    "blend.json",
    *(f"{name}.npy" for name in (*ARRAYS, *CODED, "titles", "title_ends")),
}
"""Without these a folder is no snapshot of this code."""

Floats = npt.NDArray[np.float32]


def write_snapshot(
    root: Path, snapshot: Snapshot, tower: bytes | None, made_at: datetime, ranker: bytes | None = None
) -> str:
    """Write `root/<version>/` and return the version; the snapshot's own `version` is not read.

    The version is named by cut, model version and content, so a folder that exists is already right and is
    left as it is.
    """
    files = _files(snapshot, {TOWER: tower, RANKER: ranker})
    hashes = {name: sha256(content) for name, content in files.items()}
    about = {
        "model_version": snapshot.model_version,
        "kind": snapshot.kind,
        "cut_on": snapshot.cut_on,
        "layout": LAYOUT,
    }
    content_hash = sha256(to_json({**about, "files": hashes}))[:10]
    version = f"{snapshot.cut_on}-{snapshot.model_version}-{content_hash}"
    manifest = {**about, "version": version, "made_at": to_rfc3339(made_at), "files": hashes}
    if not (root / version / MANIFEST).is_file():
        _write_folder(root / version, {**files, MANIFEST: sealed(manifest)})
    return version


def open_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot's arrays after checking every file against the manifest.

    Raises:
        SnapshotError: a file is missing, or its SHA-256 is not the manifest's (names the file), or it is of another layout.
    """
    manifest = read_manifest(folder)
    if manifest["version"] != folder.name:
        raise SnapshotError(f"{folder.name} holds {manifest['version']}: publish again")
    if manifest.get("layout") != LAYOUT:
        raise SnapshotError(
            f"{folder.name} is of another layout than this code reads: train and publish anew (python -m models train --start full)"
        )
    for name, digest in manifest["files"].items():
        check_file(folder / name, digest)
    if lacking := FILES - manifest["files"].keys():
        raise SnapshotError(
            f"{folder.name} has no {sorted(lacking)}: publish again (python -m models publish)"
        )
    items = json.loads((folder / "items.json").read_text())
    arrays = {name: mapped(folder / f"{name}.npy") for name in ARRAYS}

    def coded(name: str) -> Coded:
        return Coded(mapped(folder / f"{name}.npy"), items[name])

    columns: dict[str, Any] = {**arrays, **{name: coded(name) for name in CODED}}
    snapshot = Snapshot(
        **columns,
        ids=items["ids"],
        offered_at=_offered(folder, manifest),
        index={item: row for row, item in enumerate(items["ids"])},
        titles=Texts(mapped(folder / "titles.npy"), mapped(folder / "title_ends.npy")),
        sessions=SessionIndex(
            **{part.name: mapped(folder / f"sessions_{part.name}.npy") for part in fields(SessionIndex)}
        ),
        kind=manifest["kind"],
        version=manifest["version"],
        model_version=manifest["model_version"],
        cut_on=manifest["cut_on"],
        blend=Blend(**json.loads((folder / BLEND).read_bytes())),
        cohorts=_cohorts(folder, items.get("countries")),
    )
    snapshot.nearest(read_index(str(folder / NEAR)))
    return snapshot


def open_served(folder: Path, policy: Policy = PLAIN) -> Served:
    """A snapshot, its query, its ranker and the policy over it: what the scorer and the lists hand to `decide`.

    Raises:
        SnapshotError: as `open_snapshot`.
        ValueError: the ranker reads other features than this code gives.
    """
    snapshot = open_snapshot(folder)
    there = read_manifest(folder)["files"]
    if TOWER not in there:
        return Served.of(snapshot, None, policy)
    query = tower_query(QueryTower(folder / TOWER), snapshot.vectors, snapshot.word_vectors)
    served = Served.of(snapshot, query, policy)
    if RANKER not in there:
        return served
    booster = read_ranker((folder / RANKER).read_bytes())
    return replace(served, rank=ranked_by(booster, items_of(snapshot)))


def items_of(snapshot: Snapshot) -> Items:
    """What a ranker reads of the snapshot's items."""
    return Items.of(snapshot, snapshot.vectors)


def current_version(serving: Path) -> str | None:
    """The version that serves; None before the first publish."""
    return _named(serving / CURRENT)


def served_before(serving: Path) -> list[str]:
    """The versions that served before the current one, newest first; they may be gone.

    Raises:
        ValueError: the pointer is none; TypeError likewise.
    """
    try:
        pointer = json.loads((serving / CURRENT).read_text())
    except FileNotFoundError:
        return []
    return list(pointer["before"]) if "before" in pointer else []


def staged_version(serving: Path, cut_on: str) -> str | None:
    """The version that the cut's publish makes current; None before it was staged."""
    return _named(serving / STAGED.format(cut_on=cut_on))


def set_current(serving: Path, version: str) -> None:
    """Make `version` the one that serves, atomically; a version that is already current is not rewritten.

    Raises:
        SnapshotError: there is no such snapshot.
    """
    with _locked(serving):
        _serve(serving, version)


def replace_current(serving: Path, old: str, new: str) -> bool:
    """Make `new` the one that serves where `old` still is; whether it was.

    Raises:
        SnapshotError: there is no such snapshot.
    """
    with _locked(serving):
        if current_version(serving) != old:
            return False
        _serve(serving, new)
    return True


def set_staged(serving: Path, cut_on: str, version: str) -> None:
    """Make `version` the one that the cut's publish takes.

    Raises:
        SnapshotError: there is no such snapshot.
    """
    _name(serving / STAGED.format(cut_on=cut_on), version)


def forget_old(serving: Path, kept: int) -> None:
    """Remove snapshots: the current one stays, the one that served before it, of each cut the newest made, of `kept` cuts; so do the pointers to them.

    A folder that is no snapshot any more goes as well.
    """
    current, before = current_version(serving), None
    with suppress(*BROKEN):
        before = next(iter(served_before(serving)), None)
    folders = [path for path in serving.iterdir() if path.is_dir() and not path.name.startswith(".")]
    made = [(path, found) for path in folders if (found := _made(path))]
    for path in {*folders} - {path for path, _ in made}:
        if path.name != current:
            shutil.rmtree(path)
    made.sort(key=lambda one: (one[1]["cut_on"], one[1]["made_at"], one[0].name), reverse=True)
    newest: dict[str, str] = {}
    for path, manifest in made:
        if len(newest) < kept:
            newest.setdefault(manifest["cut_on"], path.name)
        if path.name not in {*newest.values(), current, before}:
            shutil.rmtree(path)
    for pointer in serving.glob(STAGED.format(cut_on="*")):
        if not (serving / str(_named(pointer)) / MANIFEST).is_file():
            pointer.unlink()


def _made(folder: Path) -> dict[str, Any] | None:
    """What a snapshot's folder says it holds; None of what is none."""
    try:
        return read_manifest(folder)
    except (SnapshotError, OSError):
        return None


@contextmanager
def _locked(serving: Path) -> Iterator[None]:
    """One process at a time changes what serves."""
    folder = os.open(serving, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _named(pointer: Path) -> str | None:
    try:
        version: str = json.loads(pointer.read_text())["version"]
    except FileNotFoundError:
        return None
    return version


def _serve(serving: Path, version: str) -> None:
    """The pointer names what served before and is there, too: who starts and finds the current one damaged goes back to it."""
    before: list[str] = []
    with suppress(*BROKEN):
        served = [current_version(serving), *served_before(serving)]
        before = [one for one in served if one and one != version and (serving / one / MANIFEST).is_file()]
    _name(serving / CURRENT, version, before=before[:REMEMBERED])


def _name(pointer: Path, version: str, **more: object) -> None:
    read_manifest(pointer.parent / version)
    with suppress(*BROKEN):
        if _named(pointer) == version:
            return
    fresh = pointer.with_name(f"{pointer.name}.{os.getpid()}.new")
    fresh.write_bytes(to_json({"version": version, **more}))
    fresh.replace(pointer)


def _files(snapshot: Snapshot, models: Mapping[str, bytes | None]) -> dict[str, bytes]:
    coded = {name: Coded.of(getattr(snapshot, name)) for name in CODED}
    titles = Texts.of(snapshot.titles)
    cohorts = snapshot.cohorts
    items = {"ids": list(snapshot.ids), "countries": cohorts.names}
    items |= {name: column.values for name, column in coded.items()}
    arrays = {name: np.asarray(getattr(snapshot, name), kind) for name, kind in ARRAYS.items()}
    arrays[OFFERED] = np.asarray(snapshot.offered_at, np.int64)
    arrays |= dict(zip(COHORTS, (cohorts.items, cohorts.scores), strict=True))
    arrays |= {name: column.codes for name, column in coded.items()}
    arrays |= {"titles": titles.letters, "title_ends": titles.ends}
    arrays |= {
        f"sessions_{part.name}": getattr(snapshot.sessions, part.name) for part in fields(SessionIndex)
    }
    return {
        "items.json": to_json(items),
        NEAR: snapshot.nearest().stored(),
        BLEND: to_json(asdict(snapshot.blend)),
        **{f"{name}.npy": array_file(array) for name, array in arrays.items()},
        **{name: content for name, content in models.items() if content is not None},
    }


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files or none: written beside, then renamed."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _offered(folder: Path, manifest: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """An earlier version's states all held by the cut's end."""
    if f"{OFFERED}.npy" in manifest["files"]:
        stored: npt.NDArray[np.int64] = mapped(folder / f"{OFFERED}.npy")
        return stored
    end = to_micros(Cut(date.fromisoformat(manifest["cut_on"])).end)
    return np.full(len(mapped(folder / "price_minor.npy")), end)


def _cohorts(folder: Path, names: Sequence[str] | None) -> Cohorts:
    if names is None:
        return no_cohorts()
    return Cohorts(names, *(mapped(folder / f"{name}.npy") for name in COHORTS))

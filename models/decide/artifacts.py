"""The rim of the decision library: writes, checks and opens the served snapshot's files."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.clock import to_rfc3339
from contracts.errors import BraidError
from contracts.policy import PLAIN, Policy
from models.decide.blend import Blend
from models.decide.layout import LAYOUT
from models.decide.query import Query, Question, gather
from models.decide.sessions import SessionIndex
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot
from models.decide.words import text_vector

MANIFEST = "manifest.json"
TOWER = "query_tower.tflite"
BLEND = "blend.json"
SESSIONS = "sessions.npz"
CURRENT = "current.json"
STAGED = "staged-{cut_on}.json"
ITEM_COLUMNS = {
    "ids",
    "titles",
    "categories",
    "brands",
    "price_minor",
    "currency",
    "in_stock",
    "campaigns",
    "ships_in_days",
}
TOWER_INPUTS = ("item_vectors", "slot_kind", "text", "facts")

Floats = npt.NDArray[np.float32]


class SnapshotError(BraidError):
    """A snapshot's files are missing or are not what its manifest says."""


class QueryTower:
    """The query tower in LiteRT on one thread; an instance is not to be shared between threads."""

    def __init__(self, path: Path) -> None:
        """Raises SnapshotError where the file takes other inputs."""
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        inputs = {_plain(entry["name"]): entry["index"] for entry in self._interpreter.get_input_details()}
        if inputs.keys() != set(TOWER_INPUTS):
            raise SnapshotError(f"{path} takes {sorted(inputs)}, not {sorted(TOWER_INPUTS)}: train anew")
        self._inputs = [inputs[name] for name in TOWER_INPUTS]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, *inputs: npt.NDArray[Any]) -> Floats:
        """The query vector [64] of `TOWER_INPUTS`: [1, 80, 64], int32 [1, 80], [1, 64], [1, FACTS]."""
        for index, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        query: npt.NDArray[np.float32] = self._interpreter.get_tensor(self._output)[0]
        return query


def tower_query(tower: QueryTower, item_vectors: Floats, word_vectors: Floats) -> Query:
    """What `decide` takes."""

    def query(asked: Question) -> Floats:
        text = text_vector(word_vectors, asked.words)
        return tower(gather(item_vectors, asked.positions), asked.kinds[None], text[None], asked.facts[None])

    return query


def _plain(name: str) -> str:
    """`text` of `serving_default_text:0`."""
    return name.removeprefix("serving_default_").partition(":")[0]


def write_snapshot(root: Path, snapshot: Snapshot, tower: bytes | None, made_at: datetime) -> str:
    """Write `root/<version>/` and return the version; the snapshot's own `version` is not read.

    The version is named by cut, model version and content, so a folder that exists is already right and is
    left as it is.
    """
    files = _files(snapshot, tower)
    hashes = {name: _sha256(content) for name, content in files.items()}
    about = {
        "model_version": snapshot.model_version,
        "kind": snapshot.kind,
        "cut_on": snapshot.cut_on,
        "layout": LAYOUT,
    }
    content_hash = _sha256(_json({**about, "files": hashes}))[:10]
    version = f"{snapshot.cut_on}-{snapshot.model_version}-{content_hash}"
    manifest = {**about, "version": version, "made_at": to_rfc3339(made_at), "files": hashes}
    if not (root / version / MANIFEST).is_file():
        _write_folder(root / version, {**files, MANIFEST: _json(manifest)})
    return version


def open_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot's arrays after checking every file against the manifest.

    Raises:
        SnapshotError: a file is missing, or its SHA-256 is not the manifest's (names the file), or it is of another layout.
    """
    manifest = _manifest(folder)
    if manifest.get("layout") != LAYOUT:
        raise SnapshotError(
            f"{folder.name} is of another layout than this code reads: train and publish anew (python -m models train --start full)"
        )
    contents = {name: _checked(folder / name, digest) for name, digest in manifest["files"].items()}
    items = json.loads(contents["items.json"])
    if lacking := ITEM_COLUMNS - items.keys():
        raise SnapshotError(
            f"{folder.name} has no {sorted(lacking)} of its items: publish again (python -m models publish)"
        )
    with np.load(io.BytesIO(contents["knn.npz"]), allow_pickle=False) as knn:
        neighbours, scores = knn["neighbours"], knn["scores"]
    return Snapshot(
        ids=tuple(items["ids"]),
        index={item: row for row, item in enumerate(items["ids"])},
        titles=tuple(items["titles"]),
        categories=tuple(items["categories"]),
        brands=tuple(items["brands"]),
        price_minor=tuple(items["price_minor"]),
        currency=tuple(items["currency"]),
        in_stock=np.array(items["in_stock"], bool),
        campaigns=tuple(items["campaigns"]),
        ships_in_days=np.array(items["ships_in_days"], np.int32),
        vectors=_array(contents["item_vectors.npy"]),
        word_vectors=_array(contents["word_vectors.npy"]),
        popularity=_array(contents["popularity.npy"]),
        neighbours=neighbours,
        scores=scores,
        sessions=read_sessions(contents[SESSIONS]),
        kind=manifest["kind"],
        version=manifest["version"],
        model_version=manifest["model_version"],
        cut_on=manifest["cut_on"],
        blend=Blend(**json.loads(contents[BLEND])),
    )


def open_served(folder: Path, policy: Policy = PLAIN) -> Served:
    """A snapshot, its query and the policy over it: what the scorer and the lists hand to `decide`."""
    snapshot = open_snapshot(folder)
    if TOWER not in _manifest(folder)["files"]:
        return Served.of(snapshot, None, policy)
    query = tower_query(QueryTower(folder / TOWER), snapshot.vectors, snapshot.word_vectors)
    return Served.of(snapshot, query, policy)


def current_version(serving: Path) -> str | None:
    """The version that serves; None before the first publish."""
    return _named(serving / CURRENT)


def staged_version(serving: Path, cut_on: str) -> str | None:
    """The version that the cut's publish makes current; None before it was staged."""
    return _named(serving / STAGED.format(cut_on=cut_on))


def set_current(serving: Path, version: str) -> None:
    """Make `version` the one that serves, atomically; a version that is already current is not rewritten.

    Raises:
        SnapshotError: there is no such snapshot.
    """
    with _locked(serving):
        _name(serving / CURRENT, version)


def replace_current(serving: Path, old: str, new: str) -> bool:
    """Make `new` the one that serves where `old` still is; whether it was.

    Raises:
        SnapshotError: there is no such snapshot.
    """
    with _locked(serving):
        if current_version(serving) != old:
            return False
        _name(serving / CURRENT, new)
    return True


def set_staged(serving: Path, cut_on: str, version: str) -> None:
    """Make `version` the one that the cut's publish takes.

    Raises:
        SnapshotError: there is no such snapshot.
    """
    _name(serving / STAGED.format(cut_on=cut_on), version)


def forget_old(serving: Path, kept: int) -> None:
    """Remove snapshots: the current one stays, of each cut the newest made, of `kept` cuts; so do the pointers to them."""
    current = current_version(serving)
    made = [(path, _manifest(path)) for path in serving.iterdir() if (path / MANIFEST).is_file()]
    made.sort(key=lambda one: (one[1]["cut_on"], one[1]["made_at"], one[0].name), reverse=True)
    newest: dict[str, str] = {}
    for path, manifest in made:
        if len(newest) < kept:
            newest.setdefault(manifest["cut_on"], path.name)
        if path.name not in {*newest.values(), current}:
            shutil.rmtree(path)
    for pointer in serving.glob(STAGED.format(cut_on="*")):
        if not (serving / str(_named(pointer)) / MANIFEST).is_file():
            pointer.unlink()


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


def _name(pointer: Path, version: str) -> None:
    _manifest(pointer.parent / version)
    if _named(pointer) == version:
        return
    fresh = pointer.with_name(f"{pointer.name}.{os.getpid()}.new")
    fresh.write_bytes(_json({"version": version}))
    fresh.replace(pointer)


def _files(snapshot: Snapshot, tower: bytes | None) -> dict[str, bytes]:
    items = {
        "ids": snapshot.ids,
        "titles": snapshot.titles,
        "categories": snapshot.categories,
        "brands": snapshot.brands,
        "price_minor": snapshot.price_minor,
        "currency": snapshot.currency,
        "in_stock": snapshot.in_stock.tolist(),
        "campaigns": snapshot.campaigns,
        "ships_in_days": snapshot.ships_in_days.tolist(),
    }
    knn = io.BytesIO()
    np.savez(knn, neighbours=snapshot.neighbours, scores=snapshot.scores)
    files = {
        "items.json": _json(items),
        "item_vectors.npy": array_file(snapshot.vectors),
        "word_vectors.npy": array_file(snapshot.word_vectors),
        "popularity.npy": array_file(snapshot.popularity),
        "knn.npz": knn.getvalue(),
        SESSIONS: sessions_file(snapshot.sessions),
        BLEND: _json(asdict(snapshot.blend)),
    }
    return files if tower is None else {**files, TOWER: tower}


def sessions_file(index: SessionIndex) -> bytes:
    """An index as it is stored, in a snapshot and beside a model."""
    out = io.BytesIO()
    np.savez(out, **{part.name: getattr(index, part.name) for part in fields(SessionIndex)})
    return out.getvalue()


def read_sessions(content: bytes) -> SessionIndex:
    """What `sessions_file` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return SessionIndex(**stored)


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files or none: written beside, then renamed."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{folder / MANIFEST} is missing: publish again (python -m models publish)"
        ) from error
    return manifest


def _checked(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} is missing: publish again (python -m models publish)") from error
    found = _sha256(content)
    if found != digest:
        raise SnapshotError(f"{path}: sha256 is {found}, the manifest says {digest}: publish again")
    return content


def _array(content: bytes) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def array_file(array: npt.NDArray[np.float32]) -> bytes:
    """The array as a file of numpy's."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _json(value: object) -> bytes:
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

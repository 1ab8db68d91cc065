"""A snapshot's manifest: what its folder holds, each file with its SHA-256, and one over the manifest itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.decide.snapshot import SnapshotError

MANIFEST = "manifest.json"
SEAL = "sha256"


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as it is written, with the SHA-256 of all else that it says."""
    return to_json({**manifest, SEAL: sha256(to_json(manifest))})


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `sealed` wrote into the folder.

    Raises:
        SnapshotError: it is missing, or not what it was.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{folder / MANIFEST} is missing: publish again (python -m models publish)"
        ) from error
    try:
        manifest: dict[str, Any] = json.loads(content)
        seal = manifest.pop(SEAL, None)
    except (ValueError, AttributeError, TypeError) as error:
        raise SnapshotError(f"{folder / MANIFEST} cannot be read ({error}): publish again") from error
    if seal is None:
        raise SnapshotError(
            f"{folder.name} was written by older code: train and publish anew (python -m models train --start full)"
        )
    if sha256(to_json(manifest)) != seal:
        raise SnapshotError(f"{folder / MANIFEST} is not what was written: publish again")
    return manifest


def check_file(path: Path, digest: str) -> None:
    """See that a file is what the manifest says.

    Raises:
        SnapshotError: it is missing, or another one.
    """
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} is missing: publish again (python -m models publish)") from error
    if found != digest:
        raise SnapshotError(f"{path}: sha256 is {found}, the manifest says {digest}: publish again")


def to_json(value: object) -> bytes:
    """The one text of a value."""
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

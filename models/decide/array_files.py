"""Arrays as files of numpy's: written to bytes, and mapped."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decide.sessions import SessionIndex


def mapped(path: Path) -> npt.NDArray[Any]:
    """The array, its pages shared with whoever maps it too."""
    # As a plain array: numpy's own class for mapped files costs microseconds a look.
    found: npt.NDArray[Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    return found


def array_file(array: npt.NDArray[Any]) -> bytes:
    """The array as a file of numpy's."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def sessions_file(index: SessionIndex) -> bytes:
    """An index as it is stored, in a snapshot and beside a model."""
    out = io.BytesIO()
    np.savez(out, **{part.name: getattr(index, part.name) for part in fields(SessionIndex)})
    return out.getvalue()


def read_sessions(content: bytes) -> SessionIndex:
    """What `sessions_file` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return SessionIndex(**stored)

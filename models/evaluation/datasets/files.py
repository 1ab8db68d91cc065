"""Lines of the packed files, with an error that names what is missing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from models.errors import ModelsError


def lines(path: Path) -> Iterator[str]:
    """The lines of a gzip'd text file.

    Raises:
        ModelsError: it is not there.
    """
    if not path.is_file():
        raise ModelsError(f"{path} is missing: BRAID_DATA must name the folder of the data sets")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def numbers(line: str, path: Path) -> list[int]:
    """The integers of a line.

    Raises:
        ModelsError: one is none.
    """
    try:
        return [int(part) for part in line.split()]
    except ValueError:
        raise ModelsError(f"{path}: {line[:80]!r} is no line of integers") from None

"""Remove the state of a stack: what Braid writes into `var`, and nothing beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from contracts.errors import BraidError
from contracts.settings import ROOT, Settings
from infra.demo.state import WIPED

# Everything that any room writes under `var`.
STATE = (*WIPED, "backfill", "bench", "reports", "spark", ".setup.lock")


class CleanError(BraidError):
    """The folder is not one to remove things from."""


def check(settings: Settings) -> None:
    """Refuse a folder that holds more than a stack's state.

    Raises:
        CleanError: `var` is the project or the home folder, a folder around one of them, or a room.
    """
    var = settings.var
    around = [place for place in (ROOT, Path.home().resolve()) if place.is_relative_to(var)]
    rooms = [place.parent for place in ROOT.glob("*/__init__.py") if var.is_relative_to(place.parent)]
    if around or rooms:
        raise CleanError(f"BRAID_VAR={var} holds {(around + rooms)[0]}: nothing is removed")


def clean(settings: Settings) -> tuple[list[Path], list[Path]]:
    """Remove the known children of `var`, then `var` itself if that leaves it empty.

    Returns:
        What was removed, and what is left in `var` because it is not Braid's.
    """
    check(settings)
    removed = [path for name in STATE if _remove(path := settings.var / name)]
    left = sorted(settings.var.iterdir()) if settings.var.is_dir() else []
    if settings.var.is_dir() and not left:
        settings.var.rmdir()
        removed.append(settings.var)
    return removed, left


def _remove(path: Path) -> bool:
    """Remove a file, a folder or a link (not what it leads to); False when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return True
    there = path.is_symlink() or path.exists()
    path.unlink(missing_ok=True)
    return there

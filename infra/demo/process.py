"""Runs a room's command as a process, its output in a log file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import BraidError
from contracts.settings import ROOT, Settings
from infra.stack.units import environment


class StepError(BraidError):
    """A step of the demo failed; the message holds the end of its log."""


def run_step(settings: Settings, name: str, *arguments: str) -> float:
    """Run `python -m <arguments>` from the project's root and return its seconds.

    Raises:
        StepError: the process ended with another code than 0.
    """
    log = settings.logs / "demo" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with log.open("ab") as output:
        code = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment(settings)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code != 0:
        raise StepError(
            f"{name} ended with code {code}: python -m {' '.join(arguments)}\n{tail(log)}\nIts log: {log}"
        )
    return time.perf_counter() - started


def start(settings: Settings, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `python -m <arguments>` beside the demo; the caller waits for it."""
    log = settings.logs / "demo" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment(settings)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

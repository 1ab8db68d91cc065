"""Runs a room's command: as a process of `.venv` here, as Spark submit or a pod on a cluster.

A deployment adds its runner to `RUNNERS` and names it in `BRAID_RUNNER`; the DAGs stay as they are. Airflow
is not imported, so this is tested without it.
"""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from contracts.errors import BraidError, GateError, SettingsError
from contracts.settings import ROOT

GATE_EXIT = 3
"""The exit code of a command that refused the day's data."""
USAGE_EXIT = 2
"""argparse's exit code: the same arguments are refused again."""
TAIL_LINES = 12
STOP_SECONDS = 4
"""Airflow kills a task five seconds after it asked it to end."""

Log = Callable[[str], None]


class CommandError(BraidError):
    """A command ended with an error that may pass: a dependency was away, a machine was full."""


class Runner(Protocol):
    """Runs `python -m <arguments>` where the rooms live and hands its output on, line by line."""

    def run(self, arguments: Sequence[str], log: Log) -> int: ...

    def stop(self) -> None:
        """End the command that runs, if one does; called when the task is killed."""


class ProcessRunner:
    """Starts the command as a process of the project's own environment.

    It stays in the task's process group, which Airflow signals as a whole when the task is killed.
    """

    def __init__(self, root: Path = ROOT, environ: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environ = dict(os.environ if environ is None else environ)
        self._process: subprocess.Popen[str] | None = None

    def run(self, arguments: Sequence[str], log: Log) -> int:
        """The command's exit code; whatever interrupts the wait ends the command."""
        self._process = subprocess.Popen(
            [str(self._root / ".venv" / "bin" / "python"), "-m", *arguments],
            cwd=self._root,
            env=room_environment(self._environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            for line in self._process.stdout or ():
                log(line.rstrip())
            return self._process.wait()
        finally:
            self.stop()

    def stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


RUNNERS: dict[str, Callable[[], Runner]] = {"process": ProcessRunner}


def runner_named(name: str) -> Runner:
    """The runner that `BRAID_RUNNER` names.

    Raises:
        SettingsError: no such runner is declared.
    """
    if name not in RUNNERS:
        raise SettingsError(f"BRAID_RUNNER={name!r} is not declared; known are {', '.join(sorted(RUNNERS))}")
    return RUNNERS[name]()


def run_command(runner: Runner, arguments: Sequence[str], log: Log) -> None:
    """Run one command to its end.

    Raises:
        GateError: it refused the day's data; trying again changes nothing.
        SettingsError: it does not know its arguments; trying again changes nothing.
        CommandError: it failed otherwise.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def keep(line: str) -> None:
        tail.append(line)
        log(line)

    code = runner.run(arguments, keep)
    if code == 0:
        return
    said = "\n".join([f"python -m {' '.join(arguments)} ended with code {code}", *tail])
    raise {GATE_EXIT: GateError, USAGE_EXIT: SettingsError}.get(code, CommandError)(said)


def room_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a room sees of `environ`: all but Airflow's own settings and import path."""
    hidden = ("AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV")
    kept = {key: value for key, value in environ.items() if not key.startswith(hidden)}
    return {**kept, "PYTHONUNBUFFERED": "1"}

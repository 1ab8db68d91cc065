"""`python -m infra.bench.meter REPORT COMMAND…`: runs a command and writes what it and all its descendants cost.

Seconds end with the command. CPU-seconds are the kernel's own account: this process takes in every orphan (a JVM outlives
the Python that started it for a moment) and adds up what `wait4` says of each. Memory is sampled.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 1.0
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took; `peak_mib` is the greatest proportional set size of its process tree, in MiB."""

    seconds: float
    cpu_seconds: float
    peak_mib: int
    code: int


def measured(command: Sequence[str]) -> Cost:
    """Run `command` and wait for all that it started.

    Raises:
        OSError: the kernel refuses to hand orphans over.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    peak = _Peak()
    started = time.perf_counter()
    child = subprocess.Popen(command)
    seconds, code, cpu_seconds = 0.0, 0, 0.0
    with peak:
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            cpu_seconds += usage.ru_utime + usage.ru_stime
            if pid == child.pid:
                seconds, code = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
                child.returncode = code
    return Cost(round(seconds, 2), round(cpu_seconds, 2), peak.mib, code)


class _Peak:
    """Watches the memory of this process's descendants from a thread."""

    def __init__(self) -> None:
        self.mib = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            tree = psutil.Process().children(recursive=True)
            self.mib = max(self.mib, sum(proportional_kib(process.pid) for process in tree) // 1024)


def proportional_kib(pid: int) -> int:
    """KiB of a process, shared pages divided by their sharers; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def main(arguments: Sequence[str]) -> int:
    """The command; its code is that of the command measured."""
    report, *command = arguments
    cost = measured(command)
    Path(report).write_text(json.dumps(asdict(cost)) + "\n")
    return cost.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

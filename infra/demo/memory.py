"""The memory of everything that runs: the demo, its steps and the stack's processes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil

from contracts.settings import Settings

SAMPLE_SECONDS = 3.0


class MemoryWatch:
    """Samples the proportional set size of the demo's own tree and of the stack's; keeps the peak."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak_mib = 0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.peak_mib = max(self.peak_mib, total_mib(self._settings))


def total_mib(settings: Settings) -> int:
    """MiB of this process, what it started, and every process that carries this stack's BRAID_VAR."""
    mine = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    return sum(_proportional_kib(pid) for pid in mine | _stack_pids(settings)) // 1024


def _stack_pids(settings: Settings) -> set[int]:
    marker = f"BRAID_VAR={settings.var}\0".encode()
    return {pid for pid in psutil.pids() if marker in _read(Path(f"/proc/{pid}/environ")) + b"\0"}


def _proportional_kib(pid: int) -> int:
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1])
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # The process ended, or is not ours to read: it holds no memory of this stack.
        return b""

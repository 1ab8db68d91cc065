"""Several processes behind one port: the kernel hands each connection to one of them.

```
python -m scorer ─┬─ worker ─┐
                  ├─ worker ─┴─ one port (SO_REUSEPORT), the snapshot's pages shared
                  └─ holds the port, starts anew whichever ends or hangs, hands a stop on
```
A worker listens when it is ready, so that none is asked before it knows what the others do, and it ends with its parent, whatever became of that.
One line joins the two, the worker's standard input: it says every second that its loop runs, and hears there when the parent is gone.
One that ends with `CANNOT_RUN` says so of all: then all end, and whoever started the parent sees it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client.multiprocess import mark_process_dead

LOG = logging.getLogger("scorer.workers")
WORKER = "--worker"
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers' counters lie, so that whichever is asked tells of all of them."""
LOOK_SECONDS = 0.2
STOP_SECONDS = 12.0
BEAT_SECONDS, HUNG_SECONDS = 1.0, 10.0
"""How often a worker says that it runs, and after how long a silence it is taken to hang: its loop never waits a second for anything."""
ENDED_WELL = {0, -signal.SIGTERM}
CANNOT_RUN = os.EX_CONFIG


@dataclass(slots=True)
class Worker:
    """One process, the parent's end of their line, and for how many looks it has been silent; None before it has said anything."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    silent: int | None = None

    @classmethod
    def started(cls, folder: str) -> Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        command = (sys.executable, "-m", "scorer", WORKER)
        with theirs:
            return cls(
                subprocess.Popen(command, stdin=theirs.fileno(), env={**os.environ, METRICS: folder}), ours
            )

    def end_if_hung(self) -> None:
        """Kill it after too long a silence: it would keep the connections that the kernel hands to it."""
        if self.silent is not None:
            # Looks, not seconds: while this process stood still, nobody listened.
            self.silent += 1
        with suppress(OSError):
            if self.line.recv(4096):
                self.silent = 0
        if self.silent is not None and self.silent * LOOK_SECONDS > HUNG_SECONDS:
            LOG.error("a worker hangs", extra={"worker": self.process.pid})
            self.process.kill()
            self.silent = None

    def again(self, folder: str) -> Worker:
        """Itself while it runs, else another; not of one that says that none can run."""
        if self.process.poll() in (None, CANNOT_RUN):
            return self
        extra = {"worker": self.process.pid, "code": self.process.returncode}
        LOG.error("a worker ended; another starts", extra=extra)
        mark_process_dead(self.process.pid, folder)  # type: ignore[no-untyped-call]
        self.line.close()
        return self.started(folder)

    def ended(self, seconds: float) -> int:
        """The exit status of one that was asked to stop; it is made to."""
        with self.line:
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                return self.process.wait()


def run(count: int, port: socket.socket) -> int:
    """Keep so many workers running until SIGTERM or SIGINT; 0, or 1 where one did not end well or cannot run.

    Args:
        port: bound and kept by this process, so that no other scorer takes the port while no worker listens.
    """
    stopping: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: stopping.append(number))
    with port, tempfile.TemporaryDirectory(prefix="braid-scorer-") as folder:
        workers = [Worker.started(folder) for _ in range(count)]
        while not stopping and CANNOT_RUN not in {worker.process.poll() for worker in workers}:
            time.sleep(LOOK_SECONDS)
            for worker in workers:
                worker.end_if_hung()
            workers = [worker.again(folder) for worker in workers]
        for worker in workers:
            worker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        codes = {worker.ended(max(0.0, deadline - time.monotonic())) for worker in workers}
    return 0 if codes <= ENDED_WELL else 1


def end_with_the_parent() -> socket.socket:
    """Stop this process, as a signal would, when its parent's end of their line is closed; the line."""
    line = socket.socket(fileno=sys.stdin.fileno())

    def watch() -> None:
        # A parent that dies with something unread resets the line.
        with suppress(OSError):
            line.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()
    return line


async def beat(line: socket.socket) -> None:
    """Say again and again that the loop runs; what the parent does not read is not waited for."""
    while True:
        with suppress(OSError):
            line.send(b".", socket.MSG_DONTWAIT)
        await asyncio.sleep(BEAT_SECONDS)

"""Several processes behind one port: the kernel hands each connection to one of them.

```
python -m scorer ─┬─ worker ─┐
                  ├─ worker ─┴─ one port (SO_REUSEPORT), the snapshot's pages shared
                  └─ holds the port, starts anew whichever ends, hands a stop on
```
A worker listens when it is ready, so that none is asked before it knows what the others do, and it ends with its parent, whatever became of that.
One that ends with `CANNOT_RUN` says so of all: then all end, and whoever started the parent sees it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from prometheus_client.multiprocess import mark_process_dead

LOG = logging.getLogger("scorer.workers")
WORKER = "--worker"
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers' counters lie, so that whichever is asked tells of all of them."""
LOOK_SECONDS = 0.2
STOP_SECONDS = 30.0
ENDED_WELL = {0, -signal.SIGTERM}
CANNOT_RUN = os.EX_CONFIG


def run(count: int, port: socket.socket) -> int:
    """Keep so many workers running until SIGTERM or SIGINT; 0, or 1 where one did not end well or cannot run.

    Args:
        port: bound and kept by this process, so that no other scorer takes the port while no worker listens.
    """
    stopping: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: stopping.append(number))
    with port, tempfile.TemporaryDirectory(prefix="braid-scorer-") as folder:
        workers = [_started(folder) for _ in range(count)]
        while not stopping and CANNOT_RUN not in {worker.poll() for worker in workers}:
            time.sleep(LOOK_SECONDS)
            workers = [worker if worker.poll() is None else _again(worker, folder) for worker in workers]
        codes = {_stopped(worker) for worker in workers}
    return 0 if codes <= ENDED_WELL else 1


def end_with_the_parent() -> None:
    """Stop this process, as a signal would, when its parent's end of standard input is closed."""

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def _started(folder: str) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "scorer", WORKER)
    return subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, METRICS: folder})


def _again(worker: subprocess.Popen[bytes], folder: str) -> subprocess.Popen[bytes]:
    """Another in the place of one that ended; not of one that says that none can run."""
    if worker.returncode == CANNOT_RUN:
        return worker
    LOG.error("a worker ended; another starts", extra={"worker": worker.pid, "code": worker.returncode})
    mark_process_dead(worker.pid, folder)  # type: ignore[no-untyped-call]
    return _started(folder)


def _stopped(worker: subprocess.Popen[bytes]) -> int:
    """Its exit status; it is asked to stop, and made to."""
    worker.terminate()
    try:
        return worker.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()

"""Several processes behind one port: the kernel hands each connection to one of them.

```
python -m scorer ─┬─ worker ─┐
                  ├─ worker ─┴─ one port (SO_REUSEPORT), the snapshot's pages shared
                  └─ starts anew whichever ends, hands a stop on
```
A worker listens when it is ready, so that none is asked before it knows what the others do, and it ends with its parent, whatever became of that.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

LOG = logging.getLogger("scorer.workers")
WORKER = "--worker"
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers' counters lie, so that whichever is asked tells of all of them."""
AGAIN_SECONDS = 1.0


def run(count: int, folder: Path) -> int:
    """Keep so many workers running until SIGTERM or SIGINT; 0, or 1 where one did not end well.

    Args:
        folder: for their counters; what lies there is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    workers = [_started(folder) for _ in range(count)]
    while not stopped.wait(AGAIN_SECONDS):
        workers = [worker if worker.poll() is None else _again(worker, folder) for worker in workers]
    for worker in workers:
        worker.terminate()
    codes = [worker.wait() for worker in workers]
    return 1 if any(codes) else 0


def end_with_the_parent() -> None:
    """Stop this process, as a signal would, when its parent's end of standard input is closed."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def _started(folder: Path) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "scorer", WORKER)
    return subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, METRICS: str(folder)})


def _again(worker: subprocess.Popen[bytes], folder: Path) -> subprocess.Popen[bytes]:
    LOG.error("a worker ended; another starts", extra={"worker": worker.pid, "code": worker.returncode})
    return _started(folder)

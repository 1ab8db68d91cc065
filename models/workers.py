"""The same training by several processes: `tf.distribute` with a worker for each, which all read a part of every batch.

```
fit_apart ─ rows, items, configuration as files ─► worker 0, 1, … (python -m models.workers FOLDER) ─ weights.npz ─► model
```

Gradients are summed over the workers after every step; each draws candidates of its own, and its in-batch ones from its own part.
Here they run on one machine; on several, each host gets its `TF_CONFIG` and the folder, within a network that is trusted: what they say to
each other is not authenticated.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from contracts.settings import ROOT
from models.catalog import ItemFeatures
from models.errors import ModelsError
from models.examples import Examples
from models.towers import Shape, TwoTower
from models.train import Fit, new_two_tower, run, seed, set_weights, weights_of

WEIGHTS = "weights.npz"


def fit_apart(
    train: Examples, items: ItemFeatures, vocabulary: Mapping[str, int], fit: Fit, workers: int
) -> TwoTower:
    """A model trained by `workers` processes.

    Raises:
        ModelsError: one of them failed; the message ends with what it said.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.savez(folder / "train.npz", **_arrays(train))
        np.savez(folder / "items.npz", **_arrays(items))
        (folder / "fit.json").write_text(json.dumps({"known": len(vocabulary), **asdict(fit)}))
        _work(folder, workers)
        model = new_two_tower(train, items, len(vocabulary), fit)
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            set_weights(model, dict(stored))
    return model


def work(folder: Path) -> None:
    """One worker's part; the first writes the weights."""
    from models.keras2 import tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    train = Examples(**_loaded(folder / "train.npz"))
    items = ItemFeatures(**_loaded(folder / "items.npz"))
    told = json.loads((folder / "fit.json").read_text())
    known, shape = told.pop("known"), Shape(**told.pop("shape"))
    fit = Fit(**told, shape=shape)
    seed(fit)
    number = strategy.cluster_resolver.task_id
    with strategy.scope():
        model = new_two_tower(train, items, known, fit)
        tf.random.set_seed(fit.seed + number)  # the weights are alike, the draws of a step are not
        run(model, train, fit)
    if number == 0:
        np.savez(folder / WEIGHTS, **weights_of(model))


def _work(folder: Path, workers: int) -> None:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(workers)]}
    running = []
    for number in range(workers):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})
        with (folder / f"worker-{number}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "models.workers", str(folder)],
                    cwd=ROOT,
                    env={**os.environ, "TF_CONFIG": config},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        while any(process.poll() is None for process in running):
            # Who is left waits for the one that failed, for ever.
            if any(process.poll() for process in running):
                break
            time.sleep(0.2)
    finally:
        for process in running:
            process.kill()
    for number, process in enumerate(running):
        if process.wait() > 0:
            said = (folder / f"worker-{number}.log").read_text(errors="replace").splitlines()[-15:]
            raise ModelsError(
                f"worker {number} of {workers} ended with {process.returncode}:\n" + "\n".join(said)
            )


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


def _arrays(record: Examples | ItemFeatures) -> dict[str, Any]:
    return {part.name: getattr(record, part.name) for part in fields(record)}


def _loaded(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


if __name__ == "__main__":
    work(Path(sys.argv[1]))

"""The tutorial's server: its store is filled, it is started, and stopped on leaving."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import feast
import httpx
import numpy as np
import pandas as pd
import yaml
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float32

from contracts.errors import BraidError
from contracts.settings import ROOT, Settings
from infra.bench.features.stores import stock_settings
from infra.bench.scorer.plan import Plan
from infra.bench.scorer.tutorial import ITEM_FEATURES, SHOPPERS, VIEW
from models.decide.scored import Floats

PROJECT, PORT_BEYOND = "tutorial", 5
SHOPPERS_KNOWN = 10_000
START_SECONDS = 400.0
POLL_SECONDS = 0.5


class PeerError(BraidError):
    """The tutorial's server did not start."""


@contextmanager
def serve(settings: Settings, plan: Plan, vectors: Floats) -> Iterator[int]:
    """The tutorial over these item vectors; its port.

    Raises:
        PeerError: it did not answer in time; the message says where its log is.
    """
    folder = settings.var / PROJECT
    folder.mkdir(parents=True, exist_ok=True)
    fill(settings, plan, folder)
    np.save(folder / "vectors.npy", vectors)
    known = {"items": plan.tutorial_items, "shoppers": SHOPPERS_KNOWN}
    (folder / "known.json").write_text(json.dumps(known))
    port, log = settings.port("stream_metrics") + PORT_BEYOND, folder / "server.log"
    command = [sys.executable, "-m", "infra.bench.scorer.tutorial", str(folder), str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def fill(settings: Settings, plan: Plan, folder: Path) -> None:
    """Items and shoppers of ten numbers each into stock Feast's Redis store."""
    told = stock_settings(settings, PROJECT, folder / "registry.db")
    told["offline_store"] = {"type": "file"}
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(told))
    store = feast.FeatureStore(repo_path=str(folder))
    chance = np.random.default_rng(0)
    now = datetime.now(UTC)
    for view, key, count in ((VIEW, "item", plan.tutorial_items), (SHOPPERS, "shopper", SHOPPERS_KNOWN)):
        entity = Entity(name=key, value_type=ValueType.INT64)
        names = [f"f{n}" for n in range(ITEM_FEATURES)]
        source = FileSource(path=str(folder / f"{view}.parquet"), timestamp_field="at")
        rows = pd.DataFrame({name: chance.random(count, np.float32) for name in names})
        rows[key], rows["at"] = np.arange(count), now
        rows.to_parquet(folder / f"{view}.parquet")
        schema = [Field(name=name, dtype=Float32) for name in names]
        store.apply([entity, FeatureView(name=view, entities=[entity], schema=schema, source=source)])
        store.write_to_online_store(view, rows)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(POLL_SECONDS)
    raise PeerError(f"the tutorial's server did not answer: see {log}")

"""What a tutorial puts together, as a server: Feast's SDK, FAISS HNSW and `model.predict` behind FastAPI.

Run as a process of its own. A request reads the shopper's features by the SDK, asks the query tower by `model.predict` for a vector, finds 300 items by
HNSW, reads their features by the SDK, and ranks them by a small model, again by `predict`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request

FOUND, SHOWN = 300, 10
ITEM_FEATURES = 10
VIEW, SHOPPERS = "tutorial_items", "tutorial_shoppers"
LINKS = 32


def app_of(folder: Path) -> Any:
    """The application over `folder`: `feature_store.yaml`, `vectors.npy`, `known.json` (how many items the store holds)."""
    import faiss
    import tensorflow as tf
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(folder))
    vectors = np.load(folder / "vectors.npy")
    known = json.loads((folder / "known.json").read_text())
    index = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    index.hnsw.efSearch = FOUND
    tower = tf.keras.Sequential([tf.keras.layers.Dense(64, "relu"), tf.keras.layers.Dense(64)])
    ranker = tf.keras.Sequential([tf.keras.layers.Dense(32, "relu"), tf.keras.layers.Dense(1)])
    tower.build((None, ITEM_FEATURES))
    ranker.build((None, 2 * ITEM_FEATURES))
    app = FastAPI()
    names = [f"f{n}" for n in range(ITEM_FEATURES)]

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/recommend")
    async def recommend(request: Request) -> dict[str, Any]:
        asked = await request.json()
        number = int(asked["visitor_id"][1:]) % known["shoppers"]
        person = store.get_online_features(
            features=[f"{SHOPPERS}:{name}" for name in names], entity_rows=[{"shopper": number}]
        ).to_dict()
        shopper = np.array([[person[name][0] or 0.0 for name in names]], np.float32)
        query = tower.predict(shopper, verbose=0)
        _, found = index.search(query, FOUND)
        rows = [{"item": int(item) % known["items"]} for item in found[0]]
        read = store.get_online_features(
            features=[f"{VIEW}:{name}" for name in names], entity_rows=rows
        ).to_dict()
        features = np.array([[value or 0.0 for value in read[name]] for name in names], np.float32).T
        scores = ranker.predict(np.hstack([features, np.repeat(shopper, len(rows), axis=0)]), verbose=0)[:, 0]
        best = np.argsort(-scores)[:SHOWN]
        return {"results": [{"item_id": int(found[0][n]), "score": float(scores[n])} for n in best]}

    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    options = parser.parse_args(arguments)
    server = Server(app_of(options.folder), address="127.0.0.1", port=options.port, interface=Interfaces.ASGI)
    asyncio.run(server.serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())

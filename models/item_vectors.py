"""Item vectors by the exported item tower: embedding a catalog needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from contracts.features import EMBEDDING_SIZE
from models.catalog import ItemFeatures


def item_vectors(tower: Path, items: ItemFeatures) -> npt.NDArray[np.float32]:
    """Unit vectors float32[items, 64]; an item without a known id (0) has the vector of its content."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tower), num_threads=1)
    run = interpreter.get_signature_runner()
    vectors = np.empty((len(items.ids), EMBEDDING_SIZE), np.float32)
    for n in range(len(items.ids)):
        row = slice(n, n + 1)
        [vectors[n]] = run(ids=items.ids[row], words=items.words[row], prices=items.prices[row]).values()
    return vectors

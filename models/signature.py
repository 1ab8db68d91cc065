"""What a registered candidate takes and gives, for MLflow."""

from __future__ import annotations

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from contracts.features import EMBEDDING_SIZE
from models.decide.facts import FACTS
from models.decide.query import SLOTS
from models.decide.snapshot import Kind


def signature_of(kind: Kind) -> ModelSignature:
    """What the candidate takes and gives, as tensors."""
    kinds = TensorSpec(np.dtype(np.int32), (-1, SLOTS), "slot_kind")
    if kind == "two_tower":
        vectors = TensorSpec(np.dtype(np.float32), (-1, SLOTS, EMBEDDING_SIZE), "item_vectors")
        text = TensorSpec(np.dtype(np.float32), (-1, EMBEDDING_SIZE), "text")
        facts = TensorSpec(np.dtype(np.float32), (-1, FACTS), "facts")
        query = TensorSpec(np.dtype(np.float32), (-1, EMBEDDING_SIZE), "query")
        return ModelSignature(Schema([vectors, kinds, text, facts]), Schema([query]))
    positions = TensorSpec(np.dtype(np.int32), (-1, SLOTS), "positions")
    scores = TensorSpec(np.dtype(np.float32), (-1, -1), "scores")
    return ModelSignature(Schema([positions, kinds]), Schema([scores]))

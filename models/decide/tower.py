"""The query tower as it serves: LiteRT, no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decide.query import Query, Question, gather
from models.decide.scored import Floats
from models.decide.snapshot import SnapshotError
from models.decide.words import text_vector

TOWER_INPUTS = ("item_vectors", "slot_kind", "text", "facts")


class QueryTower:
    """The query tower in LiteRT on one thread; an instance is not to be shared between threads."""

    def __init__(self, path: Path) -> None:
        """Raises SnapshotError where the file takes other inputs."""
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        inputs = {_plain(entry["name"]): entry["index"] for entry in self._interpreter.get_input_details()}
        if inputs.keys() != set(TOWER_INPUTS):
            raise SnapshotError(f"{path} takes {sorted(inputs)}, not {sorted(TOWER_INPUTS)}: train anew")
        self._inputs = [inputs[name] for name in TOWER_INPUTS]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, *inputs: npt.NDArray[Any]) -> Floats:
        """The query vector [64] of `TOWER_INPUTS`: [1, 80, 64], int32 [1, 80], [1, 64], [1, FACTS]."""
        for index, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        query: npt.NDArray[np.float32] = self._interpreter.get_tensor(self._output)[0]
        return query


def tower_query(tower: QueryTower, item_vectors: Floats, word_vectors: Floats) -> Query:
    """What `decide` takes."""

    def query(asked: Question) -> Floats:
        text = text_vector(word_vectors, asked.words)
        return tower(gather(item_vectors, asked.positions), asked.kinds[None], text[None], asked.facts[None])

    return query


def _plain(name: str) -> str:
    """`text` of `serving_default_text:0`."""
    return name.removeprefix("serving_default_").partition(":")[0]

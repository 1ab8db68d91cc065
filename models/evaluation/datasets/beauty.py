"""Amazon Beauty, 5-core, as S3-Rec prepared it (arXiv:2008.07873): leave one out, full ranking, history masked.

The last item of each user is tested, the one before it validated; models learn from what precedes both. In the test
the validated item is part of the history, as usual, but no model learns from it.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from models.errors import ModelsError
from models.evaluation.cases import Dataset, NextItem, Ragged
from models.evaluation.datasets.files import lines, numbers

PUBLISHED = {
    "popularity": {"hr10": 0.0152, "ndcg10": 0.0068},
    "item_knn": {"hr10": 0.0644, "ndcg10": 0.0376},
    "sasrec": {"hr10": 0.0605, "ndcg10": 0.0318},
    "s3_rec": {"hr10": 0.0647, "ndcg10": 0.0327},
    "esasrec": {"hr10": 0.093, "ndcg10": 0.052},
}


def read_beauty(data: Path) -> Dataset:
    """22,363 users, 12,101 items; brand and category as attributes.

    Raises:
        ModelsError: a file is missing or no such file.
    """
    path = data / "amazon-beauty" / "sequences.txt.gz"
    rows = [[item - 1 for item in numbers(line, path)[1:]] for line in lines(path)]
    sequences = Ragged.of(rows)
    items = int(sequences.values.max()) + 1
    users = np.arange(len(sequences), dtype=np.int32)
    train = sequences.until(2)
    return Dataset(
        name="beauty",
        items=items,
        tuning_train=train,
        validation=NextItem(train, sequences.from_end(2), users, masks_history=True),
        train=train,
        test=NextItem(sequences.until(1), sequences.from_end(1), users, masks_history=True),
        measures={"hr10": ("recall", 10), "ndcg10": ("ndcg", 10)},
        published=PUBLISHED,
        attributes=_attributes(data / "amazon-beauty" / "item_attributes.json.gz", items),
    )


def _attributes(path: Path, items: int) -> Ragged:
    """The attribute numbers 1 … of each item."""
    if not path.is_file():
        raise ModelsError(f"{path} is missing: BRAID_DATA must name the folder of the data sets")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found = json.load(file)
    return Ragged.of([found.get(str(item + 1), []) for item in range(items)])

"""One training: the three candidates on the same rows, measured on the same validation days."""

from __future__ import annotations

from datetime import date

import numpy as np

from contracts.settings import Settings
from models import files
from models.baselines import item_knn, popularity
from models.catalog import Catalog, item_features, read_catalog_at, vocabulary_of
from models.evaluation import evaluate, score_knn, score_popularity, score_vectors
from models.examples import Examples, read_examples, split
from models.registry import Candidate, Training
from models.train import Fit, fit_two_tower, query_of


def train_candidates(settings: Settings, cut_on: date, validation_days: int, fit: Fit) -> Training:
    """Read the cut's catalog and the training set, fit and measure; nothing is written."""
    catalog = read_catalog_at(settings, cut_on)
    examples = read_examples(settings, catalog.index, cut_on)
    train, validation = split(examples, cut_on, validation_days)
    candidates = [two_tower(catalog, train, validation, fit), *baselines(catalog, train, validation)]
    params = {
        "train_examples": len(train),
        "validation_examples": len(validation),
        "validation_days": validation_days,
        "items": len(catalog.ids),
        "epochs": fit.epochs,
        "batch": fit.batch,
        "learning_rate": fit.learning_rate,
        "seed": fit.seed,
        "temperature": fit.shape.temperature,
        "uniform_negatives": fit.shape.uniform_negatives,
    }
    return Training(cut_on, params, candidates)


def two_tower(catalog: Catalog, train: Examples, validation: Examples, fit: Fit) -> Candidate:
    """The trained towers as LiteRT files, with the ids that the item tower knows."""
    from models.export import item_tower_file, query_tower_file

    vocabulary = vocabulary_of([catalog.ids[row] for row in np.unique(train.labels)])
    model = fit_two_tower(train, item_features(catalog, vocabulary), len(vocabulary), fit)
    vectors = model.item_vectors().numpy()
    counts = popularity(train, len(catalog.ids))
    metrics = evaluate(score_vectors(query_of(model, vectors), vectors, counts), validation, len(catalog.ids))
    content = {
        files.QUERY_TOWER: query_tower_file(model.query_tower),
        files.ITEM_TOWER: item_tower_file(model.item_tower),
        files.VOCABULARY: files.to_json(vocabulary),
    }
    return Candidate("two_tower", metrics, content)


def baselines(catalog: Catalog, train: Examples, validation: Examples) -> list[Candidate]:
    """Item-kNN and popularity."""
    items = len(catalog.ids)
    counts, knn = popularity(train, items), item_knn(train, items)
    return [
        Candidate(
            "item_knn", evaluate(score_knn(knn, counts), validation, items), files.knn_files(catalog.ids, knn)
        ),
        Candidate(
            "popularity",
            evaluate(score_popularity(counts), validation, items),
            files.popularity_files(catalog.ids, counts),
        ),
    ]

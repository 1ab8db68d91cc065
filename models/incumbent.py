"""The champion's scores on today's cases, from its own registered files: what a new candidate must not be worse than."""

from __future__ import annotations

import numpy as np

from models import files
from models.baselines.item_knn import score_knn
from models.baselines.popularity import popularity, score_popularity
from models.catalog import Catalog
from models.decide.tower import QueryTower, tower_query
from models.embed import catalog_vectors
from models.evaluation.cases import Floats
from models.evaluation.ranking import Score
from models.examples import Examples
from models.ranker import ranked
from models.registry import Champion
from models.served import Around, Pipeline


def incumbent_score(
    champion: Champion, catalog: Catalog, train: Examples, at_last: Catalog | None
) -> Score[Examples]:
    """Scores as the champion serves them, with the popularity of the rows that a candidate learns from.

    Args:
        at_last: the items as they were at the last of those rows' days; None: then no ranker orders, neither its own nor a candidate's.
    """
    counts = popularity(train.interactions(), len(catalog.ids))
    if champion.kind == "item_knn":
        return score_knn(files.read_knn(champion.folders["item_knn"], catalog.index), counts)
    if champion.kind == "popularity":
        return score_popularity(counts)
    folder = champion.folders["two_tower"]
    vectors = catalog_vectors(folder, catalog)
    ask = tower_query(QueryTower(folder / files.QUERY_TOWER), vectors, files.read_word_vectors(folder))

    def query(examples: Examples) -> Floats:
        return np.array([ask(examples.question(row)) for row in range(len(examples))], np.float32)

    knn = files.read_knn(champion.folders["item_knn"], catalog.index)
    around = Around.of(knn, files.read_visits(folder, catalog.index), counts)
    pipeline, trees = Pipeline(query, vectors, around, files.read_blend(folder)), files.read_ranker(folder)
    if trees and at_last:
        pipeline = ranked(pipeline, at_last, trees)
    return pipeline.score

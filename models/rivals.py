"""What a two-tower is held against beside the baselines that can serve: cheap methods that are measured alone.

Their parameters are those that the searches on Online Retail's August found (`models.evaluation.shop_baselines`), rounded.
"""

from __future__ import annotations

from models.baselines.ease import ease, score_ease
from models.baselines.ials import ials, score_ials
from models.baselines.popularity import popularity
from models.baselines.recent import score_recent
from models.baselines.session_knn import score_sessions, session_index
from models.evaluation.cases import Cases, Interactions
from models.evaluation.ranking import Score

EASE_ITEMS = 5_000
"""EASE inverts the square of the catalog: within a second to so many items."""


def measured_alone(train: Interactions, items: int) -> dict[str, Score[Cases]]:
    """By name, learned from the rows that the model learns from."""
    counts = popularity(train, items)
    factors = ials(train, items, factors=64, regularization=0.5, alpha=40.0, iterations=15, seed=0)
    found = {
        "repurchase": score_recent(counts),
        "session_knn": score_sessions(session_index(train, items, 500), counts, 500, 4),
        "ials": score_ials(factors, counts, 2.0),
    }
    if items <= EASE_ITEMS:
        found["ease"] = score_ease(ease(train, items, 250.0), counts, 1.2)
    return found

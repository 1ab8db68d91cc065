"""Online Retail as the pipeline learns from it: the next item of the session, and the next basket.

```
tuning:  learn to 31 July ─► every model's search on August
final:   learn to 31 August with what the searches found ─► September, opened by `make evaluate-final` alone
```

The catalog is that of the last day that is learned from, and of items that came later their state of the test's last day: prices and titles of
the asked days are not known before.

Rows are those of `gold_training_examples` under `var/evaluation` (`infra.evaluation`): each added item with what was online just
before it. Retrieval orders the catalog of the last day; what lies in the cart is no candidate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from contracts.settings import Settings
from models.catalog import Catalog, read_catalog_at
from models.changes import over
from models.decide.facts import OF_SESSION, without
from models.decide.query import EMPTY, NO_ITEM, USER_KIND
from models.evaluation.baskets import at_session_start
from models.evaluation.cases import Floats
from models.evaluation.protocol import Asked
from models.evaluation.ranking import Score
from models.examples import Examples, Ints, read_examples, split
from models.ranker import Earlier, read_earlier

TUNED_TO, TESTED_TO = date(2011, 8, 31), date(2011, 9, 30)
DAYS = {TUNED_TO: 31, TESTED_TO: 30}
MEASURES: Mapping[str, tuple[str, int]] = {
    "recall_500": ("recall", 500),
    "mrr20": ("reciprocal", 20),
    "ndcg20": ("ndcg", 20),
    "recall20": ("recall", 20),
}


@dataclass(frozen=True, slots=True)
class Shop:
    """What is learned from and what is asked, of one of the two stages.

    Attributes:
        baskets: the asked sessions' items, each asked with what was known at the session's start.
        earlier: the items as the ranker reads them; without it the blend is asked alone.
    """

    catalog: Catalog
    train: Examples
    asked: Examples
    baskets: Examples
    earlier: Earlier | None = None

    @property
    def items(self) -> int:
        return len(self.catalog.ids)


def read_shop(settings: Settings, to: date) -> Shop:
    """The stage that ends with TUNED_TO or TESTED_TO.

    Raises:
        ModelsError: the lake is not there or does not reach so far.
    """
    lake = settings.evaluation
    last = to - timedelta(days=DAYS[to])
    catalog = over(read_catalog_at(lake, to), read_catalog_at(lake, last))
    train, asked = split(read_examples(lake, catalog.index, to), to, DAYS[to])
    return Shop(catalog, train, asked, at_session_start(asked), read_earlier(lake, catalog, last))


def asked_of_shop(shop: Shop) -> Asked:
    """The next items of the asked days."""
    facts = {
        "items": shop.items,
        "train_examples": len(shop.train),
        "test_cases": len(shop.asked),
        "test_shoppers": len(np.unique(shop.asked.shoppers)),
        "baskets": len(np.unique(shop.baskets.sessions)),
    }
    return Asked(
        shop.asked,
        shop.train.interactions().counts(shop.items),
        np.isin(shop.asked.shoppers, shop.train.shoppers),
        MEASURES,
        {"published": {}, "facts": facts},
    )


def without_session(examples: Examples) -> Examples:
    """The same questions as yesterday's features alone answer them: no slot and no fact of the session.

    Words stay: this shop records no search.
    """
    order = np.argsort(examples.kinds != USER_KIND, axis=1, kind="stable")
    positions: Ints = np.take_along_axis(examples.positions, order, axis=1)
    kinds = np.take_along_axis(examples.kinds, order, axis=1)
    kept = kinds == USER_KIND
    return replace(
        examples,
        positions=np.where(kept, positions, NO_ITEM).astype(np.int32),
        kinds=np.where(kept, kinds, EMPTY).astype(np.int32),
        facts=without(examples.facts, OF_SESSION),
    )


def asked_without_session(score: Score[Examples]) -> Score[Examples]:
    """Scores that see no slot of the session."""

    def blind(examples: Examples) -> Floats:
        return score(without_session(examples))

    return blind

"""The lists of countries at a cut, counted once a day (`decide.cohorts`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.consent import granted
from contracts.settings import Settings
from models.catalog import Catalog
from models.decide.cohorts import LEAST_SHOPPERS, Cohorts
from models.decide.scored import Floats
from models.tables import read_cut, read_days

COUNTED_DAYS = 90
COUNTRY, ITEM, SHOPPER = "context_country", "label_item_id", "shopper_id"
KEYS = {"visitor:": "visitor_id", "user:": "linked_user_id"}
"""Under which a choice is kept: the newest of the two holds."""


def read_cohorts(settings: Settings, catalog: Catalog, cut_on: date) -> Cohorts:
    """Of what was added to carts in 90 days, from each country, by shoppers who grant `personalization` at the cut.

    Raises:
        ModelsError: the cut has no consent, or there is no table of labels.
    """
    first = cut_on - timedelta(days=COUNTED_DAYS - 1)
    added = read_days(settings, "gold_label_rows", (first, cut_on), (COUNTRY, ITEM, SHOPPER, *KEYS.values()))
    consent = read_cut(settings, "gold_consent", cut_on, (SHOPPER, "consent_state"))
    added = _of_who_grants(added.filter(pc.is_valid(added.column(COUNTRY))), consent)
    shoppers = added.group_by(COUNTRY).aggregate([(SHOPPER, "count_distinct")])
    enough = pc.greater_equal(shoppers.column(f"{SHOPPER}_count_distinct"), LEAST_SHOPPERS)
    names = sorted(shoppers.filter(enough).column(COUNTRY).to_pylist())
    counted = added.group_by([COUNTRY, ITEM]).aggregate([(SHOPPER, "count_distinct")])
    return Cohorts.of(names, _counts(counted, names, catalog.index), catalog.carts_30d.astype(np.float32))


def _of_who_grants(added: pa.Table, consent: pa.Table) -> pa.Table:
    states = consent.column("consent_state").combine_chunks()
    known = consent.column(SHOPPER).combine_chunks()
    of_keys = [
        states.take(pc.index_in(pc.binary_join_element_wise(prefix, added.column(key), ""), value_set=known))
        for prefix, key in KEYS.items()
    ]
    newest = pc.max_element_wise(*of_keys)
    grants = [state for state in pc.unique(newest).to_pylist() if granted(state, "personalization")]
    return added.filter(pc.is_in(newest, pa.array(grants, pa.string())))


def _counts(counted: pa.Table, names: Sequence[str], index: dict[str, int]) -> Iterator[Floats]:
    """float32[items] of each country: how many shoppers added each item."""
    for name in names:
        own = counted.filter(pc.equal(counted.column(COUNTRY), name)).to_pydict()
        found = np.zeros(len(index), np.float32)
        for item, shoppers in zip(own[ITEM], own[f"{SHOPPER}_count_distinct"], strict=True):
            if item in index:
                found[index[item]] = shoppers
        yield found

"""The lists of countries at a cut, counted once a day (`decide.cohorts`)."""

from __future__ import annotations

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


def read_cohorts(settings: Settings, catalog: Catalog, cut_on: date) -> Cohorts:
    """Of what was added to carts in 90 days, from each country, by shoppers who grant `personalization` at the cut.

    Raises:
        ModelsError: the cut has no consent, or there is no table of labels.
    """
    first = cut_on - timedelta(days=COUNTED_DAYS - 1)
    added = read_days(settings, "gold_label_rows", (first, cut_on), (COUNTRY, ITEM, SHOPPER))
    consent = read_cut(settings, "gold_consent", cut_on, (SHOPPER, "consent_state"))
    states = pc.unique(consent.column("consent_state")).to_pylist()
    grants = pa.array([state for state in states if granted(state, "personalization")], pa.string())
    granting = consent.filter(pc.is_in(consent.column("consent_state"), grants)).column(SHOPPER)
    added = added.filter(pc.is_in(added.column(SHOPPER), granting.combine_chunks()))
    shoppers = added.group_by(COUNTRY).aggregate([(SHOPPER, "count_distinct")])
    enough = shoppers.filter(pc.greater_equal(shoppers.column(f"{SHOPPER}_count_distinct"), LEAST_SHOPPERS))
    names = sorted(name for name in enough.column(COUNTRY).to_pylist() if name is not None)
    counted = added.group_by([COUNTRY, ITEM]).aggregate([([], "count_all")])
    index = catalog.index
    taken = [_counts(counted, name, index) for name in names]
    return Cohorts.of(names, taken, catalog.carts_30d.astype(np.float32))


def _counts(counted: pa.Table, country: str, index: dict[str, int]) -> Floats:
    """float32[items]: the country's additions."""
    own = counted.filter(pc.equal(counted.column(COUNTRY), country))
    found = np.zeros(len(index), np.float32)
    for item, count in zip(own.column(ITEM).to_pylist(), own.column("count_all").to_pylist(), strict=True):
        if item in index:
            found[index[item]] = count
    return found

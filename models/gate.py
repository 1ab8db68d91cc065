"""Which candidate of a training may serve: none that is worse than what serves or than a cheap baseline.

```
two_tower ─ judged against every baseline and the incumbent ─ passes ─► serves
                        │ fails                                             ▲
                        └──────────────► the best baseline, judged against ─┘
                                         what serves now
```

A candidate is refused where its Recall@20 is worse by the paired interval over all cases, or on any slice by more than
`MARGIN`; where a slice holds too few shoppers nothing is told of it. A model whose Recall@20 is more than `TOO_GOOD` times what the
baselines and the shopper's newest items alone reach is refused as well: gains of that size are leaks. (Smaller ones it cannot see, nor any
where the plain methods reach one half.) Where the features hold what they are to tell, every model is good, and no candidate is judged:
see `leak_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.decide.query import NO_ITEM, USER_KIND
from models.evaluation.cases import Ints, Mask
from models.evaluation.intervals import Interval, paired_difference
from models.evaluation.metrics import Ranking
from models.examples import Examples

MARGIN = 0.02
TOO_GOOD = 2.0
LEAKED = 0.5
SHOPPERS_AT_LEAST = 30
K = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate beside one rival, over all cases (`slice` is `all`) or a slice of them."""

    rival: str
    slice: str
    cases: int
    difference: Interval
    worse: bool

    def as_dict(self) -> dict[str, Any]:
        about = {"rival": self.rival, "slice": self.slice, "cases": self.cases, "worse": self.worse}
        return {**about, **self.difference.as_dict()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate may serve, and why not."""

    candidate: str
    comparisons: Sequence[Comparison]
    too_good: bool

    @property
    def passes(self) -> bool:
        return not self.too_good and not any(found.worse for found in self.comparisons)

    @property
    def reasons(self) -> list[str]:
        """One line each."""
        found = [
            f"{c.slice}: Recall@{K} {c.difference.mean:+.4f} ({c.difference.low:+.4f} … {c.difference.high:+.4f}) "
            f"beside {c.rival}, {c.cases} cases"
            for c in self.comparisons
            if c.worse
        ]
        if self.too_good:
            found.append(f"Recall@{K} more than {TOO_GOOD:g} times what plain methods reach: look for a leak")
        return found


def leak_of(examples: Examples) -> str | None:
    """Why examples may teach nothing: the cart, or yesterday's items, of most of them begin with what is about to be added.

    So it is where features were joined as of the event instead of before it. Who adds what lies in the cart, or what was
    had last, does so now and then. The session's items are no sign: shoppers add what they have just looked at.
    """
    user = examples.kinds == USER_KIND
    newest = np.argmax(user, axis=1)
    of_user = np.where(user.any(axis=1), examples.positions[np.arange(len(examples)), newest], NO_ITEM)
    for name, first in (("of the cart", examples.carted[:, 0]), ("that the user had before", of_user)):
        share = float((first == examples.labels).mean())
        if share > LEAKED:
            return f"in {share:.0%} of {len(examples)} examples the label is the newest item {name}: the features are of after the event"
    return None


def judge(
    candidate: str,
    ranking: Ranking,
    rivals: Mapping[str, Ranking],
    shoppers: Ints,
    slices: Mapping[str, Mask],
    *,
    plain: Sequence[Ranking] = (),
) -> Verdict:
    """Hold one candidate against its rivals; all rankings are of the same cases, shoppers int32[n].

    Args:
        plain: what counting and the newest items alone reach; a model far beyond it knows what it should not.
    """
    comparisons = []
    for rival, theirs in rivals.items():
        overall = paired_difference(ranking.recall(K), theirs.recall(K), shoppers)
        comparisons.append(Comparison(rival, "all", len(shoppers), overall, overall.high < 0))
        for name, mask in slices.items():
            if len(np.unique(shoppers[mask])) >= SHOPPERS_AT_LEAST:
                found = paired_difference(ranking.recall(K)[mask], theirs.recall(K)[mask], shoppers[mask])
                comparisons.append(Comparison(rival, name, int(mask.sum()), found, found.high < -MARGIN))
    reached = max((found.recall(K).mean() for found in plain), default=np.inf)
    return Verdict(candidate, comparisons, bool(ranking.recall(K).mean() > TOO_GOOD * reached > 0))

"""The policy over six items: what is withheld, and in which order the rest stands; every value worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import to_micros
from contracts.errors import PolicyError
from contracts.policy import PLACEMENTS, Items, Placement, Policy, Rule, Seen, read_policy
from contracts.settings import ROOT
from models.decide.decide import Decided, decide
from models.decide.shelf import Served
from models.decide.shopper import Shopper
from tests.scorer.kit import snapshot

AT = datetime(2011, 9, 2, 12, 0, tzinfo=UTC)
SHOP = replace(snapshot("popularity"), in_stock=np.ones(6, bool))
"""Items a … f, a the most popular (6, 5, 4, 3, 2, 1): relevance by its logarithm 1, .88, .73, .55, .32, 0. Brands: acme a, c; potter e."""


def ask(policy: Policy, shopper: Shopper | None = None, count: int = 6, name: str = "home") -> Decided:
    asked = shopper or Shopper(consent_granted=True)
    return decide(Served.of(SHOP, None, policy), asked, name, count, AT)  # type: ignore[arg-type]


def ids(decided: Decided) -> str:
    return "".join(result.item_id for result in decided.results)


def rule(kind: str, name: str = "r", **more: object) -> Policy:
    about = {"items": Items(ids=["d"]), **more}
    return Policy(rules=[Rule(name=name, kind=kind, **about)])  # type: ignore[arg-type]


def place(**rules: object) -> Policy:
    return Policy(placements={"home": Placement(**rules)})  # type: ignore[arg-type]


def named(days: float, *items: str) -> str:
    return "\n".join([str(to_micros(AT - timedelta(days=days))), *items])


def test_without_rules_the_best_items_stand_in_order():
    assert ids(ask(Policy())) == "abcdef"


@pytest.mark.parametrize(
    ("policy", "expected", "rules"),
    [
        (rule("boost", weight=0.4), "adbcef", {"d": ["boost: r"]}),  # .55 + .4 stands between 1 and .88
        (rule("bury", weight=0.3), "abcedf", {"d": ["bury: r"]}),  # .55 - .3 stands between .32 and 0
        (rule("pin", position=1), "dabcef", {"d": ["pin: r"]}),
        (rule("pin", position=3, items=Items(ids=["gone", "e", "d"])), "abecdf", {"e": ["pin: r"]}),
        (rule("block"), "abcef", {}),
        (rule("block", items=Items(brands=["acme"])), "bdef", {}),
        (rule("block", items=Items(categories=["home"])), "acdef", {}),
        (rule("block", items=Items(campaigns=["spring"])), "abdef", {}),
        (rule("block", placements=["email"]), "abcdef", {}),
        (rule("block", until=AT), "abcdef", {}),
        (rule("block", since=AT, until=AT + timedelta(seconds=1)), "abcef", {}),
    ],
)
def test_a_rule_moves_its_items_where_and_while_it_holds(
    policy: Policy, expected: str, rules: dict[str, list[str]]
):
    decided = ask(policy)
    assert ids(decided) == expected
    assert {result.item_id: result.rules for result in decided.results if result.rules} == rules


def test_two_pins_keep_their_places_and_a_pin_that_may_not_be_shown_leaves_none():
    pins = [
        Rule(name=f"p{position}", kind="pin", position=position, items=Items(ids=items))
        for position, items in ((2, ["f"]), (1, ["e"]), (3, ["d"]))
    ]
    assert ids(ask(Policy(rules=pins))) == "efdabc"
    # A pin beyond the list's end pins nothing.
    assert ids(ask(Policy(rules=pins), count=2)) == "ef"
    last = rule("pin", position=5, items=Items(ids=["a"]))
    assert ids(ask(last, count=3)) == "abc"
    assert ids(ask(Policy(rules=pins), Shopper(consent_granted=True, muted_items=["f"]))) == "eadbc"


def test_a_cap_holds_for_the_whole_list_pins_too():
    assert ids(ask(place(per_brand=1))) == "abdef"  # acme has a, so c stays away
    pinned = Policy(
        placements={"home": Placement(per_brand=1)},
        rules=rule("pin", position=1, items=Items(ids=["c"])).rules,
    )
    assert ids(ask(pinned)) == "cbdef"


def test_novelty_takes_from_what_is_popular():
    # Neighbours of a: f .95, c .9, d .5, relevance 1, .89, 0. With f the most popular, log(1 + count) / log 7 is taken: f 1 - 1, c .89 - .83.
    popular_f = np.array([1, 5, 4, 3, 2, 6], np.float32)
    shop = replace(snapshot("item_knn"), in_stock=np.ones(6, bool), popularity=popular_f)
    looked_at_a = Shopper(session_items=["a"], consent_granted=True)
    for novelty, expected in ((0.0, "fcd"), (1.0, "cfd")):
        served = Served.of(shop, None, place(novelty=novelty))
        assert ids(decide(served, looked_at_a, "home", 3, AT)) == expected


def test_diversity_passes_over_what_is_like_the_items_above():
    # b points as a does, all others at right angles. At .5: a first; then b is worth .5 · .8 - .5 · 1 = -.1, f 0, c .3.
    vectors = np.eye(6, 64, dtype=np.float32)
    vectors[1] = vectors[0]
    served = Served.of(replace(SHOP, vectors=vectors), None, place(diversity=0.5))
    assert ids(decide(served, Shopper(), "home", 6, AT)) == "acdefb"


def test_what_is_less_wanted_takes_what_is_like_it_down():
    vectors = np.eye(6, 64, dtype=np.float32)
    vectors[1, :2] = (0.6, 0.8)
    served = Served.of(replace(SHOP, vectors=vectors), None)
    decided = decide(served, Shopper(consent_granted=True, less_items=["a"]), "home", 6, AT)
    # Of b … f alone b counts 1: 1 - .6 stands between d (.5) and e (.25).
    assert ids(decided) == "cdbef"
    assert [result.rules for result in decided.results if result.item_id == "b"] == [["less like: Title a"]]
    assert ids(decide(served, Shopper(less_items=["a"]), "home", 6, AT)) == "abcdef"


def test_what_was_bought_or_seen_too_often_is_withheld_for_its_days():
    bought = Shopper(consent_granted=True, orders=[named(1, "a", "b"), named(8, "c")])
    assert ids(ask(place(bought_days=7), bought)) == "cdef"
    assert ids(ask(Policy(), bought)) == "abcdef"
    seen = Shopper(consent_granted=True, lists=[named(0, "a", "b"), named(0.5, "a"), named(2, "a", "b")])
    assert ids(ask(place(seen=Seen(times=2, days=1)), seen)) == "bcdef"
    assert ids(ask(place(seen=Seen(times=2, days=3)), seen)) == "cdef"


def test_what_ships_late_is_withheld_and_what_promises_nothing_is_not():
    # b ships within a day, c within five.
    assert ids(ask(place(ships_within_days=3))) == "abdef"


def test_the_campaign_that_is_shown_gains():
    # c: .73 + .2 stands between a and b.
    assert ids(ask(place(campaign=0.2), Shopper(campaign="spring"))) == "acbdef"
    assert ids(ask(place(campaign=0.3), Shopper(campaign="autumn"))) == "abcdef"
    assert ids(ask(place(campaign=0.3))) == "abcdef"


def test_complements_of_the_cart_stand_before_all_else_and_are_of_other_categories():
    cart = place(complements=True)
    # a speaks for f (.95), c (.9) and d (.5); the cart itself is not shown.
    decided = ask(cart, Shopper(cart=["a"]))
    assert ids(decided) == "fcdbe"
    assert [result.source for result in decided.results] == ["complements"] * 3 + ["popular"] * 2
    assert decided.results[0].reasons == ["because you added Title a"]
    same = replace(SHOP, categories=("garden", "home > kitchen > mugs", None, "garden", None, None))
    assert ids(decide(Served.of(same, None, cart), Shopper(cart=["a"]), "home", 6, AT)) == "fcbde"
    assert ids(ask(cart)) == "abcdef"


@given(
    place=st.builds(
        Placement, diversity=st.sampled_from([0.0, 0.3, 1.0]), per_brand=st.sampled_from([None, 1, 2])
    ),
    pins=st.lists(
        st.tuples(st.integers(1, 8), st.sampled_from("abcdef")), max_size=4, unique_by=lambda pin: pin[0]
    ),
    weight=st.floats(0.01, 10),
    muted=st.lists(st.sampled_from("abcdef"), max_size=3),
    count=st.integers(1, 6),
)
def test_whatever_the_policy_each_item_stands_once_and_none_is_withheld(place, pins, weight, muted, count):
    rules = [
        Rule(name=f"p{n}", kind="pin", position=p, items=Items(ids=[i])) for n, (p, i) in enumerate(pins)
    ]
    rules.append(Rule(name="b", kind="bury", weight=weight, items=Items(ids=["a"])))
    policy = Policy(placements={"home": place}, rules=rules)
    shown = ids(ask(policy, Shopper(consent_granted=True, muted_items=muted), count))
    assert len(shown) == len(set(shown)) <= count
    assert not set(shown) & set(muted)
    if place.per_brand is None:
        assert len(shown) == min(count, 6 - len(set(muted)))


def test_the_policy_of_the_project_is_valid_and_names_every_placement():
    assert set(read_policy(ROOT / "contracts" / "policy.toml").placements) == set(PLACEMENTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[placements.hom]\n", "Invalid enum value 'hom'"),
        (
            "[placements.home]\ndefault_count = 0\n",
            "Expected `int` >= 1 - at `$.placements[...].default_count`",
        ),
        (
            "[placements.home]\ndefault_count = 9\nmax_count = 8\n",
            "default_count is 9, more than max_count, 8",
        ),
        ("[placements.home]\ndiversty = 1\n", "unknown field `diversty`"),
        ("[[rules]]\nname='x'\nkind='pin'\nitems={ids=['a']}\n", "rule 'x': a pin has a position"),
        ("[[rules]]\nname='x'\nkind='boost'\nitems={ids=['a']}\n", "rule 'x': boost and bury have a weight"),
        ("[[rules]]\nname='x'\nkind='block'\nitems={}\n", "rule 'x': give items"),
        ("[[rules]]\nname='x'\nkind='block'\nitems={ids=['a']}\nsince=2011-01-01T00:00:00\n", "with a zone"),
        ("[[rules]]\nname='x'\nkind='block'\nitems={ids=['a']}\n" * 2, "two rules are called 'x'"),
        (
            "".join(f"[[rules]]\nname='{n}'\nkind='pin'\nposition=1\nitems={{ids=['{n}']}}\n" for n in "xy"),
            "rules 'x' and 'y' pin to one place",
        ),
        ("home = \n", "Invalid value"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(PolicyError) as told:
        read_policy(path)
    assert said in str(told.value)
    assert str(path) in str(told.value)


def test_a_policy_survives_its_way_to_another_process():
    policy = rule("boost", weight=0.5)
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy

"""The simulated shop: a function of its seed and the day, in the contract's form, with tastes to be learned."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from contracts.adapters.wire import Record
from contracts.errors import SourceError
from contracts.events import NAMES, NAMES_WITH_ITEMS, read_event
from infra.dayfiles import check_day
from infra.simulator.catalog import build_catalog
from infra.simulator.live import LiveItem, LiveShop, live_shopper
from infra.simulator.parameters import ShopParameters
from infra.simulator.shoppers import build_shoppers
from infra.simulator.source import SimulatedShop

SHOP = SimulatedShop(ShopParameters(seed=7, items=240, shoppers=300, sessions_per_day=120))
OPENED = SHOP.parameters.first_day
DAYS = [OPENED + timedelta(days=n) for n in range(10)]


@pytest.fixture(scope="module")
def events() -> list[Record]:
    return [event for on in DAYS for event in SHOP.read_day(on).events]


def test_a_day_is_the_same_whenever_it_is_read() -> None:
    apart = SimulatedShop(ShopParameters(seed=7, items=240, shoppers=300, sessions_per_day=120))
    assert apart.read_day(DAYS[3]) == SHOP.read_day(DAYS[3])
    other = SimulatedShop(ShopParameters(seed=8, items=240, shoppers=300, sessions_per_day=120))
    assert other.read_day(DAYS[3]) != SHOP.read_day(DAYS[3])


def test_every_event_of_the_contract_happens_and_is_valid(events: list[Record]) -> None:
    assert {event["event_name"] for event in events} == set(NAMES)
    assert all(check_day(SHOP.read_day(on), "simulator", on).counts.rejected == {} for on in DAYS[:2])
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_day_holds_its_own_events_in_order() -> None:
    times = [event["event_time"] for event in SHOP.read_day(DAYS[1]).events]
    assert times == sorted(times)
    assert {time[:10] for time in times} == {DAYS[1].isoformat()}


def test_a_user_is_known_from_login_to_logout(events: list[Record]) -> None:
    sessions: dict[str, list[Record]] = {}
    for event in events:
        sessions.setdefault(event["session_id"], []).append(event)
    for session in sessions.values():
        for before, after in pairwise(session):
            if before["user_id"] is None and after["user_id"] is not None:
                assert after["event_name"] == "login"
            assert not (before["user_id"] and after["user_id"] is None)


def test_a_choice_about_consent_holds_from_its_moment(events: list[Record]) -> None:
    choices = [event for event in events if event["event_name"] == "consent_update"]
    for choice in choices:
        assert choice["consent"]["changed_at"] == choice["event_time"]
        of_shopper = [e for e in events if e["visitor_id"] == choice["visitor_id"]]
        for event in of_shopper:
            same = event["consent"] == choice["consent"]
            assert same == (event["event_time"] >= choice["event_time"])


def test_the_first_day_has_the_whole_catalog_and_other_days_what_changed() -> None:
    first, second = SHOP.read_day(DAYS[0]).catalog, SHOP.read_day(DAYS[1]).catalog
    assert len(first) == 240
    assert 0 < len(second) < 240
    state = {update["item_id"]: update for update in first}
    for update in second:
        was = state[update["item_id"]]
        assert any(update[name] != was[name] for name in ("price", "available_quantity", "availability"))


def test_tastes_can_be_learned() -> None:
    """Of what a shopper added, more is foretold by own taste than by what all like, at the same list length."""
    catalog, shoppers = build_catalog(SHOP.parameters), build_shoppers(SHOP.parameters)
    popular = set(sorted(range(240), key=lambda n: -catalog.popularity[n])[:20])
    own, common = 0, 0
    for event in (e for on in DAYS for e in SHOP.read_day(on).events):
        if event["event_name"] == "add_to_cart":
            item = catalog.ids.index(event["items"][0]["item_id"])
            shopper = int(event["visitor_id"].removeprefix("d").split("-")[0])
            leaf = int(shoppers.favourites[shopper][0])
            mine = [n for n in range(240) if catalog.leaf[n] == leaf]
            assert len(mine) <= 20
            own += item in mine
            common += item in popular
    assert own > 1.5 * common


def test_before_it_opened_there_is_no_day() -> None:
    with pytest.raises(SourceError, match="opens on 2010-12-01"):
        SHOP.read_day(date(2010, 11, 30))


ITEMS = [LiveItem(f"i{n}", 100 + n, "GBP") for n in range(50)]
NOW = datetime(2011, 9, 5, 10, tzinfo=UTC)


def test_live_sessions_take_turns_and_make_room() -> None:
    shop = LiveShop(ITEMS, "r", concurrent=4)
    sent = [shop.next_event(NOW)[1] for _ in range(400)]
    assert [e["session_id"] for e in sent[:5]] == ["sim-r-s0", "sim-r-s1", "sim-r-s2", "sim-r-s3", "sim-r-s0"]
    counted = Counter((e["visitor_id"], e["session_id"]) for e in sent)
    assert shop.produced == counted
    # Sessions of 15 to 25 events: 400 events need at least 16.
    assert len(counted) >= 16
    assert max(counted.values()) <= 25
    assert len({e["event_id"] for e in sent}) == 400
    assert all(read_event(e).event is not None for e in sent)
    assert {e["event_name"] for e in sent} & NAMES_WITH_ITEMS


def test_live_shoppers_are_known_to_other_processes() -> None:
    session, event = LiveShop(ITEMS, "r").next_event(NOW)
    shopper = live_shopper("r", session.number)
    assert (event["visitor_id"], event["user_id"], event["session_id"]) == (
        shopper.visitor_id,
        shopper.user_id,
        shopper.session_id,
    )

"""A small lake with planted structure: shoppers walk along short chains of items."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.settings import Settings
from models.decide.facts import NAMES, PLACES, STAGE
from models.decide.ranker import COUNTED

CUT = date(2011, 3, 31)
CHAINS, LENGTH, DAYS, SESSIONS_A_DAY = 20, 10, 30, 30
STRINGS = pa.list_(pa.string())
TIME = pa.timestamp("us", tz="UTC")
EXAMPLES = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("event_id", "user_id", "visitor_id", "session_id", "label_item_id")
        ),
        ("event_timestamp", TIME),
        *(
            (name, STRINGS)
            for name in (
                "session_last_items",
                "session_last_carted",
                "user_last_items",
                "user_top_items_90d",
                "session_last_searches",
                "user_last_searches_90d",
            )
        ),
        *((name, pa.string() if name in (*PLACES, STAGE) else pa.float64()) for name in NAMES),
    ]
)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose lake holds one cut: 201 items (the last is new and out of stock), 40 users."""
    settings = Settings(var=tmp_path_factory.mktemp("models"))
    write_lake(settings, CUT, DAYS, SESSIONS_A_DAY)
    return settings


def write_lake(
    settings: Settings, cut: date, days: int, sessions_a_day: int, more_cuts: Sequence[date] = ()
) -> None:
    """Examples of the days to the cut; items and users at it, the same items at `more_cuts`."""
    rows = list(_examples(random.Random(3), cut, days, sessions_a_day))
    carts = Counter(row["label_item_id"] for row in rows)
    items = pa.concat_tables(_items(carts, on) for on in (cut, *more_cuts))
    _write(settings.lake, "gold_training_examples", pa.Table.from_pylist(rows, EXAMPLES))
    _write(settings.lake, "gold_item_features", items)
    _write(settings.lake, "gold_user_features", _users())
    _write(settings.lake, "gold_label_rows", _labels(cut))
    _write(settings.lake, "gold_consent", _consent(cut))


def item(chain: int, place: int) -> str:
    return f"c{chain:02}-{place % LENGTH}"


def _examples(chance: random.Random, cut: date, days: int, sessions_a_day: int) -> Iterator[dict]:
    """Each session starts somewhere in a chain and adds what follows, five times; few chains are popular."""
    for day in range(days):
        opens = datetime.combine(cut - timedelta(days=days - 1 - day), time(9), tzinfo=UTC)
        for session in range(sessions_a_day):
            chain = min(chance.randrange(CHAINS), chance.randrange(CHAINS))
            walk = [
                item(chain, start)
                for start in [chance.randrange(LENGTH)]
                for start in range(start, start + 5)
            ]
            for n, label in enumerate(walk):
                before = walk[:n][::-1] or None
                yield {
                    "event_id": f"{day:02}-{session:02}-{n}",
                    "user_id": f"u{chain:02}",
                    "visitor_id": f"v{session}",
                    "session_id": f"{day}-{session}",
                    "label_item_id": label,
                    "event_timestamp": opens + timedelta(minutes=session, seconds=n),
                    "session_last_items": before,
                    "session_last_carted": before,
                    "user_last_items": [item(chain, 0)],
                }


ADDED = {
    "France": {item(18, 9): range(3, 12), item(19, 9): range(3), item(17, 9): range(2, 5)},
    "Norway": {item(18, 9): range(12, 15)},
    None: {item(16, 9): range(20, 30)},
}
"""Which visitors added what, from where."""


def _labels(cut: date) -> pa.Table:
    rows = [
        {
            "shopper_id": f"visitor:v{visitor}",
            "visitor_id": f"v{visitor}",
            "linked_user_id": "u01" if visitor == 1 else None,
            "label_item_id": added,
            "context_country": country,
            "event_on": cut,
        }
        for country, items in ADDED.items()
        for added, visitors in items.items()
        for visitor in visitors
    ]
    return pa.Table.from_pylist(rows)


def _consent(cut: date) -> pa.Table:
    """All grant, but visitor v0 by the device, and v1 by a later choice of the user."""
    states = {f"visitor:v{n}": (1, "denied" if n == 0 else "granted") for n in range(30)}
    states |= {f"user:u{chain:02}": (2, "denied" if chain == 1 else "granted") for chain in range(CHAINS)}
    return pa.table(
        {
            "shopper_id": list(states),
            "consent_state": [
                state_of({**{f"consent_{purpose}": state for purpose in PURPOSES}, "consent_changed_at": at})
                for at, state in states.values()
            ],
            "cut_on": [cut] * len(states),
        }
    )


def _items(carts: Counter[str], cut: date) -> pa.Table:
    known = [(item(c, n), f"chain{c} piece{n}") for c in range(CHAINS) for n in range(LENGTH)]
    rows = [*known, ("new", "chain3 piece4")]
    return pa.table(
        {
            "item_id": [name for name, _ in rows],
            "title": [title for _, title in rows],
            "category": pa.array([None] * len(rows), pa.string()),
            "brand": pa.array([None] * len(rows), pa.string()),
            "price_minor": [199] * len(rows),
            "currency": ["GBP"] * len(rows),
            "availability": ["in_stock"] * len(known) + ["out_of_stock"],
            "ships_in_days": pa.array([None] * len(rows), pa.int64()),
            "campaign": pa.array([None] * len(rows), pa.string()),
            "offered_at": [1] * len(rows),
            **{name: [carts[item] for item, _ in rows] for name in COUNTED},
            "item_first_seen_at": [1] * len(rows),
            "cut_on": [cut] * len(rows),
        }
    )


def _users() -> pa.Table:
    end = datetime.combine(CUT + timedelta(days=1), time(), tzinfo=UTC)
    users = [*(f"u{chain:02}" for chain in range(CHAINS)), "without-items"]
    return pa.table(
        {
            "user_id": users,
            "user_last_items": pa.array([*([item(chain, 0)] for chain in range(CHAINS)), None], STRINGS),
            "cut_on": [CUT] * len(users),
            "event_timestamp": pa.array([end] * len(users), TIME),
            "created_timestamp": pa.array([end + timedelta(hours=2)] * len(users), TIME),
        }
    )


def _write(lake: Path, name: str, rows: pa.Table) -> None:
    write_deltalake(str(lake / name), rows, mode="overwrite")

"""More is asked than can be answered: while a real Redis stands still, who waits, who gets less, and who is sent away at once."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from contracts.clock import to_micros
from scorer.admission import FIRST_LINE, SOFT, WHOLE
from tests.scorer.kit import GRANTED_AT, Rows, Running, micros_ago, unique

PAUSE_MS = 1500
GRANT = to_micros(GRANTED_AT)


def test_product_pages_come_first_and_what_is_too_much_is_sent_away(braid: Running, rows: Rows) -> None:
    who = {"visitor_id": unique("v"), "session_id": "s1"}
    rows.consent(f"visitor:{who['visitor_id']}", "granted")
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=5), GRANT, session_last_items=["a"])
    before = {how: braid.metric("shed_total", how=how) for how in ("light", "refused")}

    async def ask(placement: str) -> httpx.Response:
        url = f"/v1/placements/{placement}:recommend"
        async with httpx.AsyncClient(
            transport=braid.transport, base_url="http://scorer", timeout=30
        ) as client:
            return await client.post(url, json=who)

    async def crowd() -> list[tuple[str, httpx.Response]]:
        rows.redis.client_pause(PAUSE_MS, all=True)
        named = ["product"] * WHOLE + ["home"] * (SOFT - WHOLE) + ["search"] * 3
        named += ["cart"] * FIRST_LINE + ["checkout"] * 5
        tasks = []
        for placement in named:
            tasks.append(asyncio.create_task(ask(placement)))
            # Each is under way before the next one asks.
            await asyncio.sleep(0.005)
        return list(zip(named, await asyncio.gather(*tasks), strict=True))

    answers = braid.wait(crowd())
    told = Counter((name, answer.status_code) for name, answer in answers)
    # Those in the first line had their turn after the pause; the three searches took no place there, and the home pages lost patience.
    assert told == {
        ("product", 200): WHOLE,
        ("home", 200): SOFT - WHOLE,
        ("search", 200): 3,
        ("cart", 200): FIRST_LINE,
        ("checkout", 503): 5,
    }
    rungs = {
        (name, answer.json()["degraded"]["rung"], answer.json()["degraded"]["cause"])
        for name, answer in answers
        if answer.is_success
    }
    whole = {(name, "full", None) for name in ("product", "cart")}
    assert rungs == {*whole, *((name, "popular", "overloaded") for name in ("home", "search"))}
    refused = next(answer for _, answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["detail"] == f"{FIRST_LINE} requests wait; ask again"
    assert braid.metric("shed_total", how="light") - before["light"] == 3 + SOFT - WHOLE
    assert braid.metric("shed_total", how="refused") - before["refused"] == 5
    # It is over as soon as they are answered.
    assert braid.recommend(**who)["degraded"]["rung"] == "full"
    assert braid.service.recommender.admission.under_way == 0

"""Catalog updates under load: does an answer that has passed one hold it, and how soon?

```
updates ─► topic ─► scorer's shelf ─► answers, each with its `catalog_offset`       beside them: what each offset said of which item
```
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import httpx
import msgspec
import numpy as np
from confluent_kafka import Message, Producer

from contracts.clock import to_micros
from contracts.settings import TOPICS
from infra.bench.scorer import catalog
from infra.chaos.requests import ITEMS, Broken
from infra.load.figures import percentiles

HOT = 500
"""Items that the updates are about: few, so that many answers hold one that has just changed."""
WARM = 2_500
MOST_EFFECT_MS = 1_000.0
LEAST_UPDATES = 10_000


@dataclass(frozen=True, slots=True)
class Update:
    """What one offset said."""

    sent: float
    partition: int
    offset: int
    item: str
    in_stock: bool
    price: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer to whoever wanted `left_out` and `shown` in order: when, how far its worker had read each partition, prices of
    what it shows."""

    at: float
    offset: Sequence[int]
    shown: Mapping[str, str]
    left_out: Sequence[str] = ()


@dataclass(slots=True)
class Updates:
    """Sends them, and remembers where each came to lie."""

    broken: Broken
    rate: int
    sent: list[Update] = field(default_factory=list)

    def run(self, count: int) -> None:
        settings = self.broken.settings
        producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "linger.ms": 5, "acks": "1"})
        clock, began = settings.clock(), time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, began + number / self.rate - time.perf_counter()))
            # Each hot item sells out and comes back in turn.
            at, in_stock = number * 7 % HOT * (ITEMS // HOT), number // HOT % 2 == 1
            minor = 500 + number % 1000
            state = catalog.update(at, to_micros(clock.now()), minor, in_stock=in_stock)
            item, now = catalog.item_id(at), time.perf_counter()
            sent = Update(now, -1, -1, item, in_stock, f"{minor / 100:.2f}")
            lies = partial(self._lies, sent)
            producer.produce(TOPICS.catalog, msgspec.json.encode(state), item, on_delivery=lies)
            producer.poll(0)
        producer.flush(30)

    def _lies(self, sent: Update, error: object, message: Message) -> None:
        """Where it came to lie."""
        if error is None:
            partition, offset = message.partition(), message.offset()
            assert partition is not None and offset is not None
            self.sent.append(replace(sent, partition=partition, offset=offset))


def run_updates(broken: Broken, count: int, rate: int, load_rate: int) -> dict[str, Any]:
    """So many updates a second under a load of `load_rate` requests a second; what answers that had passed an update showed against
    it."""
    updates, stop = Updates(broken, rate), threading.Event()
    seen: list[Seen] = []
    failed: list[str] = []
    askers = [
        threading.Thread(target=_ask, args=(broken, seen, failed, stop, n), daemon=True) for n in range(2)
    ]
    for asker in askers:
        asker.start()
    try:
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(broken.asked("home").open_loop, load_rate, (WARM + count) / rate, 24)
            # A broker that has just begun is slow for some seconds: what it is sent then is not looked at.
            updates.run(WARM)
            updates.sent.clear()
            seen.clear()
            updates.run(count)
        time.sleep(2)
    finally:
        stop.set()
        for asker in askers:
            asker.join(30)
    effects = effects_of(updates.sent, seen)
    return {
        "updates": len(updates.sent),
        "updates_per_second": rate,
        "answers": len(seen),
        "failed": len(failed),
        "load": {key: load.result()[key] for key in ("count", "non_2xx", "p99_ms")},
        "violations": violations(updates.sent, seen),
        "effect_ms": asdict(percentiles(effects)),
        "unseen": len(updates.sent) - len(effects),
    }


def _ask(broken: Broken, seen: list[Seen], failed: list[str], stop: threading.Event, number: int) -> None:
    """Asks for some of the hot items in order: what is not sold out is shown."""
    hot = [catalog.item_id(n * (ITEMS // HOT)) for n in range(HOT)]
    url = broken.settings.scorer_url
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
        turn = number
        while not stop.wait(0.02):
            items = [hot[(turn * 20 + n) % HOT] for n in range(40)]
            asked = {"visitor_id": f"shelf-{number}", "items": items}
            try:
                told = client.post("/v1/placements/product:rank", json=asked).raise_for_status().json()
            except httpx.HTTPError as error:
                failed.append(str(error))
                continue
            shown = {result["item_id"]: result["price"] for result in told["results"]}
            seen.append(Seen(time.perf_counter(), told["catalog_offset"], shown, told["left_out"]))
            turn += 2


def violations(sent: Sequence[Update], seen: Sequence[Seen]) -> int:
    """Items that an answer shows, leaves out or prices as no update said which it may know: the newest that it says to have passed,
    and those sent since before it was given. Stock is read when the answer is decided and prices when it is written, so that each may be of another
    of these.
    """
    states: Mapping[str, list[Update]] = defaultdict(list)
    for update in sorted(sent, key=lambda one: one.offset):
        states[update.item].append(update)
    found = 0
    for answer in seen:
        for item in (*answer.shown, *answer.left_out):
            said = states.get(item, ())
            passed = sum(one.offset < answer.offset[one.partition] for one in said)
            if passed:
                known = [said[passed - 1], *(one for one in said[passed:] if one.sent < answer.at)]
                price = answer.shown.get(item)
                stocked = any(one.in_stock == (price is not None) for one in known)
                found += not (stocked and (price is None or any(price == one.price for one in known)))
    return found


def effects_of(sent: Sequence[Update], seen: Sequence[Seen]) -> list[float]:
    """Seconds from an update's sending to the first answer that had passed it; of those that one had."""
    answers = sorted(seen, key=lambda one: one.at)
    found = []
    for partition in {update.partition for update in sent}:
        reached = np.maximum.accumulate([one.offset[partition] for one in answers])
        for update in (one for one in sent if one.partition == partition):
            at = int(np.searchsorted(reached, update.offset, side="right"))
            if at < len(answers):
                found.append(max(0.0, answers[at].at - update.sent))
    return found


def broken_promises(told: Mapping[str, Any]) -> list[str]:
    """Promises that the figures do not keep."""
    found = []
    if told["violations"]:
        found.append(f"{told['violations']} items shown, left out or priced otherwise than was known")
    if told["failed"] or not told["answers"]:
        found.append(
            f"{told['failed']} of {told['failed'] + told['answers']} requests beside the updates failed"
        )
    if told["load"]["non_2xx"]:
        found.append(f"{told['load']['non_2xx']} requests of the load failed beside the updates")
    if told["unseen"]:
        found.append(f"{told['unseen']} updates came into no answer")
    if told["updates"] < LEAST_UPDATES:
        found.append(f"{told['updates']} updates, fewer than {LEAST_UPDATES:,}")
    if told["effect_ms"]["p99"] > MOST_EFFECT_MS:
        found.append(f"effect_ms.p99 {told['effect_ms']['p99']} is above {MOST_EFFECT_MS:g}")
    return found

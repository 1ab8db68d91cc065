"""The catalog's updates since a cut, from the topic: of each item the newest that holds by now.

The topic is compacted by offset: an update that takes effect tomorrow hides, once the log was compacted, the one that holds today; the
cut's own state is left then.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.catalog import CatalogState
from contracts.errors import UNREADABLE
from contracts.settings import TOPICS, Settings
from models.catalog import Catalog
from models.decide.query import NO_ITEM
from models.errors import ModelsError

Update = Mapping[str, Any]
State: TypeAlias = tuple[str, str | None, str | None, int, str, bool, int, str | None, int]
STATE = msgspec.json.Decoder(CatalogState)
BATCH = 5_000
SECONDS = 30.0


def read_updates(settings: Settings) -> Iterator[Update]:
    """Every record of the topic to its present end, in offset order within a partition (an item has one).

    Raises:
        ModelsError: Kafka does not answer.
    """
    servers: dict[str, str | int | float | bool] = {"bootstrap.servers": settings.kafka_bootstrap}
    try:
        known = (
            AdminClient(servers)
            .list_topics(TOPICS.catalog, timeout=SECONDS)
            .topics[TOPICS.catalog]
            .partitions
        )
        consumer = Consumer({**servers, "group.id": "models-refresh", "enable.auto.commit": False})
        try:
            yield from _to_the_end(consumer, [TopicPartition(TOPICS.catalog, number) for number in known])
        finally:
            consumer.close()
    except KafkaException as error:
        raise ModelsError(
            f"{settings.kafka_bootstrap} does not answer for {TOPICS.catalog}: {error}"
        ) from error


def _to_the_end(consumer: Consumer, places: list[TopicPartition]) -> Iterator[Update]:
    bounds = {place.partition: consumer.get_watermark_offsets(place, timeout=SECONDS) for place in places}
    ends = {number: high for number, (low, high) in bounds.items() if low < high}
    consumer.assign([TopicPartition(TOPICS.catalog, number, OFFSET_BEGINNING) for number in ends])
    moved = time.monotonic()
    # A partition of which nothing was read yet has no position.
    while any(
        consumer.position([TopicPartition(TOPICS.catalog, n)])[0].offset < end for n, end in ends.items()
    ):
        messages = consumer.consume(BATCH, 0.2)
        moved = time.monotonic() if messages else moved
        if time.monotonic() - moved > SECONDS:
            raise ModelsError(f"{TOPICS.catalog} was not read to its end: nothing came for {SECONDS:.0f} s")
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            if (update := _decoded(message.value())) is not None:
                yield update


def _decoded(value: bytes | None) -> Update | None:
    """None of a tombstone, and of what is no catalog update: the day's gate tells of it, what is known stays."""
    if value is None:
        return None
    try:
        STATE.decode(value)
        update: Update = msgspec.json.decode(value)
    except UNREADABLE:
        return None
    return update


def newest(updates: Iterable[Update], now_micros: int) -> dict[str, Update]:
    """Of each item the update with the greatest effective_time up to now, the last sent of equals."""
    found: dict[str, Update] = {}
    for update in updates:
        held = found.get(update["item_id"])
        if update["effective_time"] <= now_micros and (
            held is None or update["effective_time"] >= held["effective_time"]
        ):
            found[update["item_id"]] = update
    return found


def changed(catalog: Catalog, updates: Mapping[str, Update]) -> Catalog:
    """The catalog with the updates' states in place of its own, and new items beside its own, in the order of ids."""
    return _with(catalog, {item: _told(update) for item, update in updates.items()})


def over(later: Catalog, earlier: Catalog) -> Catalog:
    """The later catalog's items in their earlier states, with what was counted by then; those that came since in their own, with nothing."""
    known, before = later.index, earlier.index
    found = _with(later, {item: _state(earlier, row) for item, row in before.items() if item in known})
    rows = np.array([before.get(item, NO_ITEM) for item in found.ids], np.int32)
    return replace(found, carts_30d=_known(earlier.carts_30d, rows), numbers=_known(earlier.numbers, rows))


def _with(catalog: Catalog, changes: Mapping[str, State]) -> Catalog:
    known = catalog.index
    states = {item: _state(catalog, row) for row, item in enumerate(catalog.ids)} | dict(changes)
    ids = tuple(sorted(states))
    titles, categories, brands, prices, currencies, stock, offered, campaigns, ships = zip(
        *(states[item] for item in ids), strict=True
    )
    rows = np.array([known.get(item, NO_ITEM) for item in ids], np.int32)
    return replace(
        catalog,
        ids=ids,
        titles=titles,
        categories=categories,
        brands=brands,
        price_minor=prices,
        currency=currencies,
        in_stock=np.array(stock, bool),
        offered_at=np.array(offered, np.int64),
        campaigns=campaigns,
        ships_in_days=np.array(ships, np.int32),
        carts_30d=_known(catalog.carts_30d, rows),
        numbers=_known(catalog.numbers, rows),
    )


def _known(values: npt.NDArray[Any], rows: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """The values in other rows, 0 of what is new."""
    found = values[rows]
    found[rows == NO_ITEM] = 0
    return found


def _told(update: Update) -> State:
    days = update.get("ships_in_days")
    return (
        update["title"],
        update.get("category"),
        update.get("brand"),
        update["price_minor"],
        update["currency"],
        update["availability"] == "in_stock",
        update["effective_time"],
        update.get("campaign"),
        -1 if days is None else days,
    )


def _state(catalog: Catalog, row: int) -> State:
    return (
        catalog.titles[row],
        catalog.categories[row],
        catalog.brands[row],
        catalog.price_minor[row],
        catalog.currency[row],
        bool(catalog.in_stock[row]),
        int(catalog.offered_at[row]),
        catalog.campaigns[row],
        int(catalog.ships_in_days[row]),
    )

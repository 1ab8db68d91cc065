"""Dead letters through a real broker: counted, repaired, sent again, counted once; and Kafka away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.door import admit
from contracts.rejections import Rejection
from contracts.settings import TOPICS, Settings
from infra.deadletters.__main__ import main
from infra.deadletters.letters import NO_LETTER, Letter, counts, letter_of
from infra.deadletters.reinject import ORIGIN_HEADER, ledger_file, read_repairs, reinject, write_repairs
from infra.deadletters.repair import NOT_JSON, Edits, Repaired, repair
from infra.stack import LocalStack
from tests.flink_jobs.kit import START, Tail, items, unique, wire
from tests.infra.test_gateway import Raw, rejections, wait_for_events
from tests.ports import free_port_base

COMMA = 'items[].price: a finite decimal in a string, as "2.55"'


def letter(record: object, number: int = 0) -> Letter:
    """The rejection of a wire record, as the gateway writes it."""
    raw = record if isinstance(record, bytes) else msgspec.json.encode(record)
    rejection = admit(raw, TOPICS.events_raw, f"0/{number}", START)
    assert isinstance(rejection, Rejection)
    return Letter(f"events_raw/0/{number}", rejection)


def test_edits_are_made_in_their_order_on_a_copy() -> None:
    record = {"a": 1, "old": "x", "items": [{"price": "2,55"}, {"price": "1,00", "gone": 1}], "consent": None}
    edits = Edits(
        drop=("a", "items.*.gone"),
        rename=(("old", "new"),),
        replace=(("items.*.price", ",", "."), ("a", "1", "2")),
        put=(("consent.ads", "denied"), ("items.0.quantity", 2)),
    )
    assert edits.apply(record) == {
        "new": "x",
        "items": [{"price": "2.55", "quantity": 2}, {"price": "1.00"}],
        "consent": {"ads": "denied"},
    }
    assert record["items"][0] == {"price": "2,55"}


def test_a_repair_says_what_would_pass_and_what_would_not() -> None:
    good = wire("view_item", "e1", "v", 0, items=items("A", price="2,55"))
    letters = [letter(good), letter(good | {"platform": 7}, 1), letter(b"no json", 2)]
    outcome = repair(letters, Edits(replace=(("items.*.price", ",", "."),)), START)
    assert [(one.origin, one.event_id) for one in outcome.passing] == [("events_raw/0/0", "e1")]
    assert outcome.passing[0].record["received_time"] == "2011-09-02T08:00:00.000000Z"
    assert dict(outcome.refused) == {"platform: a string": 1, NOT_JSON: 1}
    kept = repair(letters[:1], Edits(replace=(("items.*.price", ",", "."),)), None)
    assert kept.passing[0].record["received_time"] == good["received_time"]


def test_a_record_that_is_no_letter_is_one_by_its_own_place() -> None:
    def message(key: bytes | None, value: bytes | None) -> Message:
        return Message(topic=TOPICS.rejected_events, partition=2, offset=17, key=key, value=value)

    good = letter({"event_id": 7})
    assert letter_of(message(good.place.encode(), msgspec.json.encode(good.rejection))) == good
    odd = [(b"events_raw/0/0", b"{"), (b"\xff", b"{}"), (None, b'{"a": 1}'), (b"events_raw/0/0", None)]
    odd.append((b"events_raw/0/0", b"[" * 100_000))
    read = [letter_of(message(key, value)) for key, value in odd]
    assert {one.place for one in read} == {"rejected_events/2/17"}
    assert counts(read) == {NO_LETTER: 5}
    assert [one.rejection.original for one in read] == [value or b"" for _, value in odd]
    assert repair(read, Edits(), None).passing == []


def test_odd_records_are_counted_and_a_missing_topic_is_named(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = replace(settings, var=tmp_path, port_base=free_port_base())
    monkeypatch.setenv("BRAID_VAR", str(own.var))
    monkeypatch.setenv("BRAID_PORT_BASE", str(own.port_base))
    local = LocalStack(own)
    try:
        local.up(["kafka"])
        good = letter({"event_id": 7})
        producer = Producer({"bootstrap.servers": own.kafka_bootstrap})
        producer.produce(TOPICS.rejected_events, msgspec.json.encode(good.rejection), good.place)
        producer.produce(TOPICS.rejected_events, b"no letter", b"\xff")
        assert producer.flush(30) == 0
        assert main(["counts"]) == 0
        counted = json.loads(capsys.readouterr().out)
        assert (counted["letters"], counted["by_reason"]) == (2, {good.reason: 1, NO_LETTER: 1})
        assert main(["repair"]) == 0
        assert json.loads(capsys.readouterr().out)["would_pass"] == 0
        admin = AdminClient({"bootstrap.servers": own.kafka_bootstrap})
        admin.delete_topics([TOPICS.rejected_events])[TOPICS.rejected_events].result(30)
        while TOPICS.rejected_events in admin.list_topics(timeout=30).topics:
            pass
        assert main(["counts"]) == 1
        assert "has no topic rejected_events" in capsys.readouterr().err
    finally:
        local.down()


def test_more_records_than_the_producer_holds_are_all_told_of(settings: Settings, tmp_path: Path) -> None:
    """librdkafka holds 100,000; Kafka is away, so that none leaves but by its time."""
    away = replace(settings, var=tmp_path, port_base=free_port_base())
    one = Repaired("events_raw/0/1", "e1", {"visitor_id": "v"})
    sent = reinject(away, [one] * 100_100, START, wait=1)
    assert (sent.confirmed, len(sent.failed)) == (0, 100_100)


def test_letters_are_counted_repaired_and_sent_again_and_count_once(
    settings: Settings,
    stack: LocalStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack.up(["gateway"])
    for name, value in (("BRAID_VAR", settings.var), ("BRAID_PORT_BASE", settings.port_base)):
        monkeypatch.setenv(name, str(value))

    def say(*arguments: str) -> dict[str, Any]:
        assert main(arguments) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    v, raw = unique("dead"), Raw(settings)
    events, refused = Tail(settings, TOPICS.events), Tail(settings, TOPICS.rejected_events)
    before = say("counts")
    broken = [wire("view_item", f"{v}-{n}", v, n, items=items("A", price="2,55")) for n in range(3)]
    raw.send([(v, msgspec.json.encode(one)) for one in broken])
    rejections(refused, set(raw.places))
    after = say("counts")
    assert after["letters"] == before["letters"] + 3
    assert after["by_reason"][COMMA] == before["by_reason"].get(COMMA, 0) + 3
    example = say("show", "--reason", COMMA, "--limit", "1")
    assert example["violations"] == [f"items[0].price: {COMMA.partition(': ')[2]}, not '2,55'"]

    file = tmp_path / "repairs.jsonl"
    mend = ("repair", "--reason", COMMA, "--replace", "items.*.price", ",", ".")
    dry = say(*mend)
    assert (dry["written"], not file.exists()) == (None, True)
    assert say(*mend, "--out", str(file))["would_pass"] == dry["would_pass"]
    mine = [one for one in read_repairs(file) if one.record["visitor_id"] == v]
    assert {one.origin for one in mine} == set(raw.places)
    still_bad = replace_record(mine[2], {**mine[2].record, "platform": 7})
    write_repairs(file, [*mine[:2], still_bad])
    assert say("reinject", str(file)) == {"confirmed": 3, "sent_before": 0, "not_confirmed": 0}
    assert say("reinject", str(file)) == {"confirmed": 0, "sent_before": 3, "not_confirmed": 0}
    assert say("reinject", str(file), "--again")["confirmed"] == 3

    mended = {one.event_id for one in mine[:2]}
    found = wait_for_events(events, v, mended)
    assert {one["value_minor"] for one in found} == {255}
    # Ids stayed, so that both sendings are one event.
    assert {one["event_id"] for one in found} == mended
    ledger = [json.loads(line) for line in ledger_file(settings).read_text().splitlines()]
    places = {line["place"] for line in ledger if line["origin"] == still_bad.origin}
    assert {one["reason"] for place, one in rejections(refused, places).items() if place in places} == {
        "platform: a string"
    }
    assert say("counts")["refused_again"] >= 1
    headers = {value for _, value in header_tail(settings, v)}
    assert headers == {place.encode() for place in raw.places}


def replace_record(one: Repaired, record: dict[str, Any]) -> Repaired:
    return Repaired(one.origin, one.event_id, record)


def header_tail(settings: Settings, visitor: str) -> list[tuple[str, bytes]]:
    """The origins that the visitor's records in `events_raw` carry."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": unique("headers")})
    partitions = consumer.list_topics(TOPICS.events_raw, timeout=30).topics[TOPICS.events_raw].partitions
    consumer.assign([TopicPartition(TOPICS.events_raw, partition, 0) for partition in partitions])
    found: list[tuple[str, bytes]] = []
    while messages := consumer.consume(1000, 2.0):
        for message in messages:
            if message.key() == visitor.encode():
                found += [header for header in message.headers() or [] if header[0] == ORIGIN_HEADER]
    consumer.close()
    return found


def test_nothing_is_lost_while_kafka_is_away(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(settings, var=tmp_path, port_base=free_port_base())
    monkeypatch.setenv("BRAID_VAR", str(tmp_path))
    monkeypatch.setenv("BRAID_PORT_BASE", str(away.port_base))
    monkeypatch.setattr("infra.deadletters.letters.READ_SECONDS", 1.0)
    file = tmp_path / "repairs.jsonl"
    record = wire("page_view", "e1", "v", 0)
    write_repairs(file, [Repaired("events_raw/0/1", "e1", record)])
    assert main(["counts"]) == 1
    assert main(["reinject", str(file), "--wait", "1"]) == 1
    assert reinject(away, read_repairs(file), START, wait=1).confirmed == 0
    assert ledger_file(away).read_text() == ""
    assert [one.record for one in read_repairs(file)] == [record]
    file.write_text("no json\n")
    assert main(["reinject", str(file)]) == 1

"""`/v1/events`: each event goes through the one door; the answer comes when Kafka has them all.

Here the scorer is the shop's edge, so it also judges `received_time`, by its own clock (decision 0007).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import msgspec

from contracts.clock import Clock, to_micros
from contracts.door import Admitted, admit, reject
from contracts.errors import UNREADABLE
from contracts.events import FUTURE_TOLERANCE_MICROS
from contracts.fields import Violation
from contracts.rejections import Rejection
from contracts.settings import TOPICS
from scorer.admission import Lane
from scorer.breaker import Breaker
from scorer.metrics import Metrics
from scorer.outbox import Outbox, Record
from scorer.problems import ProblemError
from scorer.wire import BrokenRule, EventsAnswer, EventStatus

SOURCE = "http/v1/events"
MAX_EVENTS = 1000
SOME = 50
"""So many events are judged in one go: a millisecond or two."""
BATCHES = 2
"""Larger bodies that are judged in turns; the others wait, and too many are sent away."""
BATCH_FIELD = "events"
BODY = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw])
BATCH = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes event bodies; `new_id` names a request, so that its rejections can be told apart."""

    outbox: Outbox
    clock: Clock
    metrics: Metrics
    new_id: Callable[[], str]
    delivery_seconds: float
    kafka: Breaker
    batches: Lane

    async def take(self, body: bytes) -> EventsAnswer:
        """One status per event; valid ones are in `events`, the others in `rejected_events`.

        An event that is sent again after a failure does no harm: both strands drop its `event_id`.

        Raises:
            ProblemError: the body is not events, too many batches wait, or Kafka did not take them.
        """
        raws = split(body)
        at, request_id = self.clock.now(), self.new_id()
        verdicts = await self._judged(raws, request_id, at)
        await self._deliver([record_of(verdict) for verdict in verdicts])
        answer = answer_of(verdicts)
        self.metrics.events.labels("accepted").inc(answer.accepted)
        self.metrics.events.labels("rejected").inc(answer.rejected)
        return answer

    async def _judged(
        self, raws: Sequence[bytes], request_id: str, at: datetime
    ) -> list[Admitted | Rejection]:
        """The door's verdicts. Requests for lists run between: so many events at once would hold them up, and so would many batches."""
        if len(raws) <= SOME:
            return [admit_at_edge(raw, f"{request_id}/{n}", at) for n, raw in enumerate(raws)]
        verdicts = []
        await self.batches.enter(first=False)
        try:
            for n, raw in enumerate(raws):
                verdicts.append(admit_at_edge(raw, f"{request_id}/{n}", at))
                if n % SOME == SOME - 1:
                    await asyncio.sleep(0)
        finally:
            self.batches.leave()
        return verdicts

    async def _deliver(self, records: Sequence[Record]) -> None:
        cause = await self._cause(records)
        if cause is not None:
            self.metrics.events.labels("failed").inc(len(records))
            detail = f"Kafka did not take the events ({cause}); send them again"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail)

    async def _cause(self, records: Sequence[Record]) -> str | None:
        """Why Kafka does not have all of them; None where it has."""
        if self.kafka.is_open:
            return "it did not take the last ones, and is tried again"
        try:
            async with asyncio.timeout(self.delivery_seconds):
                cause = await self.outbox.deliver(records)
        except TimeoutError:
            cause = f"no confirmation within {self.delivery_seconds:g} s"
        if cause is None:
            self.kafka.succeeded()
        else:
            self.kafka.failed()
        return cause


def split(body: bytes) -> list[bytes]:
    """The events of a body, each as it was sent: one object, a list, or `{"events": [...]}`.

    Raises:
        ProblemError: 400 when it is not JSON, 422 when it is something else, or no or too many events.
    """
    try:
        decoded = BODY.decode(body)
        if isinstance(decoded, dict):
            if BATCH_FIELD not in decoded:
                return [body]
            decoded = BATCH.decode(decoded[BATCH_FIELD])
    except msgspec.ValidationError as error:
        detail = f'send one event, a list of events, or {{"events": [...]}}: {error}'
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from None
    except UNREADABLE as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None
    if not 1 <= len(decoded) <= MAX_EVENTS:
        detail = f"{len(decoded)} events; send 1 to {MAX_EVENTS} in one request"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return [bytes(raw) for raw in decoded]


def admit_at_edge(raw: bytes, position: str, at: datetime) -> Admitted | Rejection:
    """The door's verdict; an event received later than now, give or take the tolerance, is refused as well."""
    verdict = admit(raw, SOURCE, position, at)
    if isinstance(verdict, Rejection):
        return verdict
    received_time = verdict.event["received_time"]
    if received_time <= to_micros(at) + FUTURE_TOLERANCE_MICROS:
        return verdict
    violation = Violation("received_time", str(received_time), "not after the edge's clock")
    return reject(raw, [violation], SOURCE, position, at)


def record_of(verdict: Admitted | Rejection) -> Record:
    """What Kafka gets for one event."""
    if isinstance(verdict, Admitted):
        return Record(TOPICS.events, verdict.key, verdict.value)
    key = f"{verdict.source}/{verdict.position}"
    return Record(TOPICS.rejected_events, key, msgspec.json.encode(verdict))


def answer_of(verdicts: Sequence[Admitted | Rejection]) -> EventsAnswer:
    """What the sender gets."""
    results = [_status(n, verdict) for n, verdict in enumerate(verdicts)]
    accepted = sum(isinstance(verdict, Admitted) for verdict in verdicts)
    return EventsAnswer(accepted=accepted, rejected=len(verdicts) - accepted, results=results)


def _status(index: int, verdict: Admitted | Rejection) -> EventStatus:
    if isinstance(verdict, Admitted):
        return EventStatus(index=index, status="accepted", event_id=verdict.event["event_id"], violations=[])
    rules = [BrokenRule(field=v.field, value=v.value, rule=v.rule) for v in verdict.violations]
    return EventStatus(index=index, status="rejected", event_id=None, violations=rules)

"""The path of a request: rows in one round trip, one decision, the answer, and its record to Kafka."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from time import perf_counter

import msgspec
from confluent_kafka import KafkaError

from contracts.clock import Clock, from_micros, to_micros, to_rfc3339
from contracts.decisions import Context, Decision, Plain, Result, derived_of
from contracts.policy import Placement, PlacementName, placement_named
from contracts.settings import TOPICS
from models.decide.decide import Decided, decide, withheld_counts
from models.decide.facts import REQUEST_NAMES
from models.decide.shelf import Served
from models.decide.shopper import Shopper
from scorer.admission import Admission
from scorer.catalog import CatalogFollower
from scorer.metrics import Metrics
from scorer.outbox import Outbox, Record
from scorer.problems import ProblemError
from scorer.shopper import Known, failed, keys_of, known
from scorer.snapshots import Follower
from scorer.store import FeatureStore, StoreUnavailableError
from scorer.wire import (
    ExplainAnswer,
    ExplainedItem,
    FeatureStates,
    RankAnswer,
    RankRequest,
    RecommendAnswer,
    RecommendedItem,
    RecommendRequest,
)

LOG = logging.getLogger("scorer.recommending")
OVERLOADED = "overloaded"
MODEL_ERRORS = (ValueError, RuntimeError, IndexError, KeyError, TypeError)
"""What a broken tower or table raises in numpy and LiteRT, and a stored value of a wrong form in a derived feature."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request at its moment."""

    decision_id: str
    at_micros: int
    placement: PlacementName
    request: RecommendRequest

    @property
    def context(self) -> Context:
        return self.request.context or Context()


@dataclass(frozen=True, slots=True)
class Made:
    """One decision with all that it was made of."""

    serving: Served
    offset: list[int]
    facts: Known
    shopper: Shopper
    decided: Decided
    decision: Decision


@dataclass(frozen=True, slots=True)
class Recommender:
    """Answers one request after the other; `new_id` makes decision ids."""

    store: FeatureStore
    follower: Follower
    catalog: CatalogFollower
    admission: Admission
    decisions: Outbox
    clock: Clock
    metrics: Metrics
    new_id: Callable[[], str]

    async def recommend(self, placement: PlacementName, request: RecommendRequest) -> RecommendAnswer:
        """The answer to one request, and its decision record on the way to Kafka.

        Raises:
            ProblemError: more items are wanted than the placement shows, nothing was published yet, or too many ask at once.
        """
        began = perf_counter()
        made = await self._admitted(placement, request)
        return self._recorded(made, began)

    async def rank(self, placement: PlacementName, request: RankRequest) -> RankAnswer:
        """The request's items in order, recorded as a decision.

        Raises:
            ProblemError: as `recommend`.
        """
        items = list(dict.fromkeys(request.items))
        asked = msgspec.structs.replace(request, count=request.count or len(items))
        answer = await self.recommend(placement, asked)
        shown = {result.item_id for result in answer.results}
        left_out = [item for item in items if item not in shown]
        return RankAnswer(**msgspec.structs.asdict(answer), left_out=left_out)

    async def explain(self, placement: PlacementName, request: RecommendRequest) -> ExplainAnswer:
        """What `recommend` would answer, with all that made it; nothing is recorded.

        Raises:
            ProblemError: as `recommend`.
        """
        return _explained(await self._admitted(placement, request))

    async def both(
        self, placement: PlacementName, request: RecommendRequest
    ) -> tuple[RecommendAnswer, ExplainAnswer]:
        """One decision as `recommend` answers and records it, and as `explain` tells of it; raises as `recommend`."""
        began = perf_counter()
        made = await self._admitted(placement, request)
        return self._recorded(made, began), _explained(made)

    async def _admitted(self, placement: PlacementName, request: RecommendRequest) -> Made:
        async with self.admission.let_in(placement) as whole:
            serving = self._serving()
            count = _count(placement, serving.rules.policy.at(placement), request)
            return await self._made(serving, placement, request, count, whole=whole)

    def _recorded(self, made: Made, began: float) -> RecommendAnswer:
        with self.metrics.stage("record"):
            self._record(made.decision)
        answer = _answer(made)
        return msgspec.structs.replace(answer, took_ms=round((perf_counter() - began) * 1000, 3))

    def _serving(self) -> Served:
        serving = self.follower.serving
        if serving is None:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, "nothing was published yet", [self.follower.missing]
            )
        return serving

    async def _made(
        self,
        serving: Served,
        placement: PlacementName,
        request: RecommendRequest,
        count: int,
        *,
        whole: bool,
    ) -> Made:
        # Read before the shelf: what it has passed is on the shelf.
        offset = self.catalog.offset
        now = self.clock.now()
        with self.metrics.stage("rows"):
            facts = await self._known(request, to_micros(now)) if whole else _light(request)
        ask = Ask(self.new_id(), to_micros(now), placement, request)
        with self.metrics.stage("derive"):
            derived = self._derived(ask, facts)
        # Of a row that is not there the defaults say nothing, as in training, where its features are null.
        stored = {name: value for row in facts.rows if row.found for name, value in row.features.items()}
        shopper = replace(facts.shopper, features={**stored, **derived})
        with self.metrics.stage("decide"):
            decided = self._decide(serving, shopper, placement, count, now)
        decision = _decision(ask, serving.snapshot.model_version, facts, decided, derived)
        return Made(serving, offset, facts, shopper, decided, decision)

    async def _known(self, request: RecommendRequest, now_micros: int) -> Known:
        keys = keys_of(request)
        try:
            rows = await self.store.read(keys)
        except StoreUnavailableError as error:
            return failed(str(error), request)
        return known(list(zip(keys, rows, strict=True)), now_micros, request)

    def _decide(
        self, serving: Served, shopper: Shopper, placement: PlacementName, count: int, at: datetime
    ) -> Decided:
        """A model that fails costs the rung, never the answer."""
        try:
            return decide(serving, shopper, placement, count, at)
        except MODEL_ERRORS as error:
            self.metrics.model_errors.inc()
            LOG.error("the champion failed", exc_info=error, extra={"snapshot": serving.snapshot.version})
            if serving.rank is not None:
                # The ranker may be what failed: the blend's order is nearly as good.
                plain = self._decide(replace(serving, rank=None), shopper, placement, count, at)
                told = plain.degraded.cause or f"the ranker failed ({type(error).__name__})"
                return replace(plain, degraded=msgspec.structs.replace(plain.degraded, cause=told))
            cause = f"the champion failed ({type(error).__name__})"
            unknown = replace(
                shopper,
                session_items=(),
                user_items=(),
                searches=(),
                earlier_searches=(),
                features={name: shopper.features.get(name) for name in REQUEST_NAMES},
                search_term=None,
                interests=(),
                vector=None,
                context=(),
                orders=(),
                lists=(),
                failure=cause,
            )
            return decide(replace(serving, query=None), unknown, placement, count, at)

    def _derived(self, ask: Ask, facts: Known) -> dict[str, Plain]:
        """Of the rows that may be used; a stored value of a wrong form costs what the rows say, never the answer."""
        try:
            return derived_of(facts.rows, ask.context, ask.at_micros)
        except MODEL_ERRORS as error:
            self.metrics.derive_errors.inc()
            LOG.error("a derived feature failed", exc_info=error)
            return derived_of((), ask.context, ask.at_micros)

    def _record(self, decision: Decision) -> None:
        """Queue the record; a full queue is counted and costs nothing else."""
        record = Record(TOPICS.decisions, decision.decision_id, msgspec.json.encode(decision))
        queued = self.decisions.send(record, self._delivered)
        self.metrics.decisions.labels("produced" if queued else "dropped").inc()

    def _delivered(self, error: KafkaError | None) -> None:
        if error is not None:
            self.metrics.decisions.labels("failed").inc()
            LOG.error("a decision was not delivered", extra={"cause": str(error.str())})


def _decision(
    ask: Ask, model_version: str, facts: Known, decided: Decided, derived: dict[str, Plain]
) -> Decision:
    """The record; it names the shopper only where personalization is granted."""
    named = facts.shopper.consent_granted
    return Decision(
        decision_id=ask.decision_id,
        decided_at=ask.at_micros,
        placement=ask.placement,
        visitor_id=ask.request.visitor_id if named else None,
        user_id=ask.request.user_id if named else None,
        session_id=ask.request.session_id if named else None,
        results=decided.results,
        model_version=model_version,
        degraded=decided.degraded,
        rows=list(facts.rows),
        context=ask.context,
        derived=derived,
    )


def _count(name: PlacementName, place: Placement, request: RecommendRequest) -> int:
    count = place.default_count if request.count is None else request.count
    if count > place.max_count:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"count is {count}; placement {name!r} shows at most {place.max_count}",
        )
    return count


def _answer(made: Made) -> RecommendAnswer:
    decision, serving = made.decision, made.serving
    return RecommendAnswer(
        decision_id=decision.decision_id,
        attribution_token=f"{decision.placement}.{decision.decision_id}",
        placement=decision.placement,
        results=[_item(result, serving) for result in decision.results],
        model_version=decision.model_version,
        snapshot_version=serving.snapshot.version,
        degraded=decision.degraded,
        features=_states(made),
        catalog_offset=made.offset,
        took_ms=0.0,
    )


def _explained(made: Made) -> ExplainAnswer:
    decision, decided, serving = made.decision, made.decided, made.serving
    name = placement_named(decision.placement)
    page = serving.rules.page(name, from_micros(decision.decided_at))
    return ExplainAnswer(
        placement=name,
        results=[
            ExplainedItem(**msgspec.structs.asdict(_item(result, serving)), **tell()._asdict())
            for result, tell in zip(decided.results, decided.told, strict=True)
        ],
        model_version=decision.model_version,
        snapshot_version=serving.snapshot.version,
        degraded=decision.degraded,
        features=_states(made),
        rows=decision.rows,
        derived=decision.derived,
        withheld=withheld_counts(serving, made.shopper, page),
    )


def _light(request: RecommendRequest) -> Known:
    """Nothing is read for it and no model runs: what is similar to the product's page, else what the country or the whole shop takes."""
    facts = failed(OVERLOADED, request)
    return replace(facts, shopper=replace(facts.shopper, search_term=None, interests=()))


def _states(made: Made) -> FeatureStates:
    return msgspec.structs.replace(made.facts.states, stage=made.decision.derived["session_stage"])


def _item(result: Result, serving: Served) -> RecommendedItem:
    snapshot = serving.snapshot
    at = snapshot.index[result.item_id]
    offer = serving.shelf.offer(at)
    return RecommendedItem(
        item_id=result.item_id,
        title=snapshot.titles[at],
        price=f"{Decimal(offer.price_minor) / 100:.2f}",
        currency=offer.currency,
        priced_at=to_rfc3339(from_micros(offer.since)),
        score=result.score,
        source=result.source,
        reasons=result.reasons,
        rules=result.rules,
        ships_in_days=None if (days := int(snapshot.ships_in_days[at])) < 0 else days,
    )

"""The routes: each decodes, calls one part of the service and encodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response

from contracts.errors import UNREADABLE, UnknownPlacementError
from contracts.policy import PlacementName, placement_named
from scorer import openapi, problems
from scorer.metrics import MEDIA_TYPE, Metrics
from scorer.problems import ProblemError
from scorer.service import Service
from scorer.shop import pages
from scorer.wire import (
    EventsAnswer,
    ExplainAnswer,
    Health,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendAnswer,
    RecommendRequest,
)

MAX_BODY_BYTES = 512 * 1024
"""A rejection holds the body in base64 and must fit into a Kafka message of 1 MB."""
JSON = "application/json"
UNKNOWN = "unknown"


def create_app(service: Service) -> FastAPI:
    """The HTTP side of a running service."""
    app = FastAPI(
        title="Braid scorer",
        version="1",
        description="Recommendations from what is known of a shopper now, and the door for events.",
    )
    problems.install(app)
    openapi.install(app)
    _placement_routes(app, service)
    _events_route(app, service)
    _operation_routes(app, service)
    if service.shop:
        pages.install(app, service)
    return app


@dataclass(frozen=True, slots=True)
class Verb:
    """What may be asked of a placement: its name in the path, what it takes and gives, and who answers."""

    name: str
    summary: str
    takes: type[RecommendRequest]
    gives: type[msgspec.Struct]
    answer: Callable[[PlacementName, Any], Awaitable[Any]]


def _placement_routes(app: FastAPI, service: Service) -> None:
    asked = service.recommender
    for verb in (
        Verb("recommend", "Items for a shopper", RecommendRequest, RecommendAnswer, asked.recommend),
        Verb("rank", "The shop's own items in a shopper's order", RankRequest, RankAnswer, asked.rank),
        Verb("explain", "What is recommended, and why", RecommendRequest, ExplainAnswer, asked.explain),
    ):
        _placement_route(app, service, verb)


def _placement_route(app: FastAPI, service: Service, verb: Verb) -> None:
    decoder = msgspec.json.Decoder(verb.takes)

    @app.post(
        f"/v1/placements/{{placement}}:{verb.name}",
        summary=verb.summary,
        response_class=Response,
        responses=openapi.responses(200, verb.gives, 400, 404, 413, 422, 503),
        openapi_extra=openapi.body(openapi.ref(verb.takes.__name__), openapi.EXAMPLES[verb.name]),
    )
    async def ask(placement: str, request: Request) -> Response:
        with _Observed(service.metrics, verb.name) as observed:
            place = _placement(placement)
            observed.placement = place
            answer = await verb.answer(place, _decoded(decoder, await _body(request)))
            observed.status, observed.rung = HTTPStatus.OK, answer.degraded.rung
            return _json(answer)


def _events_route(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/events",
        summary="Send one event, a list, or an object with `events`",
        response_class=Response,
        status_code=202,
        responses=openapi.responses(202, EventsAnswer, 400, 413, 422, 503),
        openapi_extra=openapi.body(openapi.events_schema(), openapi.EXAMPLES["events"]),
    )
    async def events(request: Request) -> Response:
        return _json(await service.ingest.take(await _body(request)), HTTPStatus.ACCEPTED)


def _operation_routes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Alive", response_class=Response, responses=openapi.responses(200, Health))
    async def healthz() -> Response:
        return _json(Health(status="alive"))

    @app.get(
        "/readyz",
        summary="Ready: a snapshot is loaded, Redis and Kafka can be reached",
        response_class=Response,
        responses=openapi.responses(200, Readiness, 503),
    )
    async def readyz() -> Response:
        missing = await service.missing()
        serving = service.follower.serving
        if missing or serving is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "not ready: " + "; ".join(missing), missing)
        snapshot = serving.snapshot
        return _json(
            Readiness(status="ready", snapshot_version=snapshot.version, model_version=snapshot.model_version)
        )

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.page(), media_type=MEDIA_TYPE)


class _Observed:
    """Counts and times one request to a placement, whatever becomes of it."""

    def __init__(self, metrics: Metrics, verb: str) -> None:
        self._metrics, self._verb = metrics, verb
        self._began = perf_counter()
        self.placement = UNKNOWN
        self.status = HTTPStatus.INTERNAL_SERVER_ERROR
        self.rung = ""

    def __enter__(self) -> _Observed:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        status = error.status if isinstance(error, ProblemError) else self.status
        self._metrics.requests.labels(self._verb, self.placement, str(status.value), self.rung).inc()
        self._metrics.request_seconds.labels(self._verb, self.placement).observe(perf_counter() - self._began)


def _placement(name: str) -> PlacementName:
    try:
        return placement_named(name)
    except UnknownPlacementError as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from None


async def _body(request: Request) -> bytes:
    """The body, as far as it is not too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            detail = f"the body is larger than {MAX_BODY_BYTES} bytes"
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return bytes(body)


def _decoded(decoder: msgspec.json.Decoder[RecommendRequest], body: bytes) -> RecommendRequest:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    except UNREADABLE as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


def _json(answer: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(answer), status.value, media_type=JSON)

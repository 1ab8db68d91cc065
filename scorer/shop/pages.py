"""The routes of the shop. A click is an event through the scorer's own door, a list an answer of the scorer's own path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import Any, Self
from urllib.parse import parse_qs

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from contracts.policy import PlacementName
from models.decide.shelf import Served
from scorer.problems import ProblemError
from scorer.service import Service
from scorer.shop.titles import Titles
from scorer.shop.visit import CONSENTS, Visit
from scorer.wire import RankRequest

LOG = logging.getLogger("scorer.shop")
LISTED = 8
FOUND = 60
MOST_SAID = 4_096
"""Bytes of a form."""
PRIVATE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""A page is one shopper's, of this shop alone."""
PEEK, PARTS = "peek", ("peek", "list")
PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class List:
    """One list of a page: where it stands, what it is asked for with, and what it is called."""

    placement: PlacementName
    title: str
    said: dict[str, Any]


def install(app: FastAPI, service: Service) -> None:
    """Open the shop."""
    shop = _Shop(service)

    @app.get("/shop", include_in_schema=False)
    async def home(request: Request) -> Response:
        return await shop.page(_Call.of(request, service), "home", {}, List("home", "For you", {}))

    @app.get("/shop/item/{item:path}", include_in_schema=False)
    async def product(request: Request, item: str, token: str | None = None) -> Response:
        call = _Call.of(request, service)
        card = call.card(call.row(item))
        if not call.part:
            await shop.saw(call, "view_item", [item], attribution_token=token and token[:256])
        return await shop.page(
            call, "product", {"item": card}, List("product", "Beside it", {"item_id": item})
        )

    @app.get("/shop/search", include_in_schema=False)
    async def search(request: Request, q: str = "") -> Response:
        call, term = _Call.of(request, service), " ".join(q.split())[:200]
        if not term or not term.isprintable():
            return RedirectResponse("/shop", HTTPStatus.SEE_OTHER)
        if not call.part:
            await shop.saw(call, "search", [], search_term=term)
        found = [] if call.part else await shop.found(call, term)
        shown = List("home", "Close to it", {"search_term": term})
        return await shop.page(call, "search", {"term": term, "found": found}, shown)

    @app.get("/shop/cart", include_in_schema=False)
    async def cart(request: Request) -> Response:
        call = _Call.of(request, service)
        items = [call.card(row) for row in call.cart]
        return await shop.page(call, "cart", {"items": items}, List("cart", "Goes with it", {}))

    @app.get("/shop/thanks", include_in_schema=False)
    async def thanks(request: Request) -> Response:
        call = _Call.of(request, service)
        return await shop.page(call, "thanks", {}, List("post-purchase", "For the next time", {}))

    @app.post("/shop/cart", include_in_schema=False)
    async def change_cart(request: Request) -> Response:
        call, said = _Call.of(request, service), await _form(request)
        item, visit = said.get("item", ""), call.visit
        call.row(item)
        if said.get("how") == "add":
            await shop.tell(call, "add_to_cart", [item])
            return call.to("/shop/cart", visit.carrying([item, *visit.cart]))
        await shop.tell(call, "remove_from_cart", [item])
        return call.to("/shop/cart", visit.carrying([one for one in visit.cart if one != item]))

    @app.post("/shop/buy", include_in_schema=False)
    async def buy(request: Request) -> Response:
        call = _Call.of(request, service)
        bought = [str(call.served.snapshot.ids[row]) for row in call.cart]
        if bought:
            await shop.tell(call, "purchase", bought)
        return call.to("/shop/thanks", call.visit.carrying([]))

    @app.post("/shop/consent", include_in_schema=False)
    async def consent(request: Request) -> Response:
        call, choice = _Call.of(request, service), (await _form(request)).get("choice", "")
        if choice not in CONSENTS:
            detail = f"choice is {choice!r}; give {' or '.join(CONSENTS)}"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        call = replace(call, visit=call.visit.choosing(choice, service.recommender.clock))
        await shop.tell(call, "consent_update", [])
        return call.to("/shop", call.visit)

    @app.post("/shop/prefer", include_in_schema=False)
    async def prefer(request: Request) -> Response:
        call, said = _Call.of(request, service), await _form(request)
        preference = {"action": said.get("action"), "scope": "item", "value": said.get("value", "all")}
        await shop.tell(call, "preference_set", [], preference=preference)
        return call.to("/shop", call.visit)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request for a page: who asks, what serves at that moment, and which part of the page is asked for again.

    `part`: empty for the page; `peek`, what is known by now, of which nothing is recorded; `list`, the list anew, which is then seen.
    """

    visit: Visit
    served: Served
    part: str
    cookies: Mapping[str, str]

    @classmethod
    def of(cls, request: Request, service: Service) -> Self:
        serving = service.follower.serving
        if serving is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "nothing was published yet")
        part = request.query_params.get("part", "")
        visit = Visit.of(request, service.recommender.clock)
        return cls(visit, serving, part if part in PARTS else "", request.cookies)

    @property
    def cart(self) -> list[int]:
        return list(map(int, self.served.snapshot.rows_of(self.visit.cart)))

    def to(self, path: str, visit: Visit) -> Response:
        """Send the browser on, with the visit as it is now."""
        response = RedirectResponse(path, HTTPStatus.SEE_OTHER)
        visit.keep(response, self.cookies)
        return response

    def row(self, item: str) -> int:
        row = self.served.snapshot.index.get(item)
        if row is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no item {item!r}")
        return row

    def card(self, row: int) -> dict[str, Any]:
        """What is shown of an item that nothing recommended."""
        snapshot, shelf = self.served.snapshot, self.served.shelf
        offer = shelf.offer(row)
        return {
            "item_id": snapshot.ids[row],
            "title": snapshot.titles[row],
            "category": snapshot.categories[row],
            "brand": snapshot.brands[row],
            "price": f"{offer.price_minor / 100:.2f}",
            "currency": offer.currency,
            "in_stock": bool(shelf.in_stock[row]),
        }


class _Shop:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._titles: Titles | None = None

    async def tell(self, call: _Call, name: str, items: list[str], **more: Any) -> None:
        """Send an event through the door.

        Raises:
            ProblemError: it was not taken.
        """
        said = {key: value for key, value in more.items() if value is not None}
        event = call.visit.event(name, self._service.recommender.clock, call.served, items, **said)
        taken = await self._service.ingest.take(msgspec.json.encode(event))
        if taken.rejected:
            broken = "; ".join(f"{one.field}: {one.rule}" for one in taken.results[0].violations)
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, broken)

    async def saw(self, call: _Call, name: str, items: list[str], **more: Any) -> None:
        """Send what was only looked at: where Kafka does not take it, the page is shown all the same."""
        try:
            await self.tell(call, name, items, **more)
        except ProblemError as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            LOG.warning("a view was not recorded", extra={"event_name": name, "cause": error.detail})

    async def found(self, call: _Call, term: str) -> list[Any]:
        """The items whose title holds every word of the term, in the shopper's order."""
        snapshot = call.served.snapshot
        if self._titles is None or self._titles.version != snapshot.version:
            self._titles = await asyncio.to_thread(Titles, snapshot)
        most = call.served.rules.policy.at("search").max_count
        rows = await asyncio.to_thread(self._titles.find, term, min(FOUND, most))
        items = [snapshot.ids[row] for row in rows]
        if not items:
            return []
        asked = RankRequest(**msgspec.structs.asdict(call.visit.asks(search_term=term)), items=items)
        ranked = await self._service.recommender.rank("search", asked)
        return ranked.results

    async def page(self, call: _Call, name: str, more: dict[str, Any], shown: List) -> Response:
        """A page with its list, what is known of the session, and why."""
        recommender = self._service.recommender
        most = call.served.rules.policy.at(shown.placement).max_count
        asked = call.visit.asks(count=min(LISTED, most), **shown.said)
        began = perf_counter()
        if call.part == PEEK:
            why, token = await recommender.explain(shown.placement, asked), ""
        else:
            answer, why = await recommender.both(shown.placement, asked)
            token = answer.attribution_token
            if answer.results:
                items = [result.item_id for result in answer.results]
                await self.saw(call, "view_item_list", items, attribution_token=token)
        session = next((row for row in why.rows if row.view == "session"), None)
        html = PAGES.get_template("list.html.j2" if call.part else f"{name}.html.j2").render(
            visit=call.visit,
            shown=shown,
            why=why,
            token=token,
            took_ms=(perf_counter() - began) * 1000,
            session={
                k: v for k, v in (session.features if session else {}).items() if v not in (None, 0, [])
            },
            events=int((session.version or (0, 0))[1]) if session else 0,
            **more,
        )
        response = HTMLResponse(html, headers=PRIVATE)
        call.visit.keep(response, call.cookies)
        return response


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; of one that is there twice the last."""
    body = (
        await request.body()
        if int(request.headers.get("content-length") or MOST_SAID + 1) <= MOST_SAID
        else b""
    )
    return {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}

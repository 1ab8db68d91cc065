"""The routes of the shop. A click is an event through the scorer's own door, a list an answer of the scorer's own path."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from contracts.policy import PlacementName
from models.decide.shelf import Served
from models.decide.words import WORD
from scorer.problems import ProblemError
from scorer.service import Service
from scorer.shop.visit import CONSENTS, Visit
from scorer.wire import ExplainAnswer, RankRequest, RecommendAnswer

LISTED = 8
FOUND = 60
PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
Text = Annotated[str, Form(max_length=200)]


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
        return await shop.page(request, "home", {}, List("home", "For you", {}))

    @app.get("/shop/item/{item}", include_in_schema=False)
    async def product(request: Request, item: str, token: str | None = None) -> Response:
        row = shop.row(item)
        visit = shop.visit(request)
        if not _is_part(request):
            await shop.tell(visit, "view_item", [item], attribution_token=token)
        shown = List("product", "Beside it", {"item_id": item})
        return await shop.page(request, "product", {"item": shop.card(row)}, shown, visit=visit)

    @app.get("/shop/search", include_in_schema=False)
    async def search(request: Request, q: str = "") -> Response:
        visit, term = shop.visit(request), q.strip()[:200]
        if not term:
            return RedirectResponse("/shop", HTTPStatus.SEE_OTHER)
        if not _is_part(request):
            await shop.tell(visit, "search", [], search_term=term)
        found = await shop.found(visit, term)
        more = {"term": term, "found": found}
        return await shop.page(
            request, "search", more, List("home", "Close to it", {"search_term": term}), visit=visit
        )

    @app.get("/shop/cart", include_in_schema=False)
    async def cart(request: Request) -> Response:
        visit = shop.visit(request)
        items = [shop.card(row) for row in shop.rows(visit.cart)]
        return await shop.page(
            request, "cart", {"items": items}, List("cart", "Goes with it", {}), visit=visit
        )

    @app.get("/shop/thanks", include_in_schema=False)
    async def thanks(request: Request) -> Response:
        return await shop.page(request, "thanks", {}, List("post-purchase", "For the next time", {}))

    @app.post("/shop/cart", include_in_schema=False)
    async def change_cart(request: Request, item: Text, how: Text) -> Response:
        visit = shop.visit(request)
        shop.row(item)
        if how == "add":
            await shop.tell(visit, "add_to_cart", [item])
            visit = visit.carrying([item, *visit.cart])
        else:
            await shop.tell(visit, "remove_from_cart", [item])
            visit = visit.carrying([one for one in visit.cart if one != item])
        return _to("/shop/cart", visit)

    @app.post("/shop/buy", include_in_schema=False)
    async def buy(request: Request) -> Response:
        visit = shop.visit(request)
        bought = [shop.card(row)["item_id"] for row in shop.rows(visit.cart)]
        if bought:
            await shop.tell(visit, "purchase", bought)
        return _to("/shop/thanks", visit.carrying([]))

    @app.post("/shop/consent", include_in_schema=False)
    async def consent(request: Request, choice: Text) -> Response:
        if choice not in CONSENTS:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"choice is {choice!r}; give granted or denied"
            )
        visit = shop.visit(request).choosing(choice, service.recommender.clock)
        await shop.tell(visit, "consent_update", [])
        return _to("/shop", visit)

    @app.post("/shop/prefer", include_in_schema=False)
    async def prefer(request: Request, action: Text, value: Text = "all") -> Response:
        visit = shop.visit(request)
        said = {"action": action, "scope": "item", "value": value}
        await shop.tell(visit, "preference_set", [], preference=said)
        return _to("/shop", visit)


@dataclass(frozen=True, slots=True)
class _Shop:
    service: Service

    @property
    def served(self) -> Served:
        serving = self.service.follower.serving
        if serving is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "nothing was published yet")
        return serving

    def visit(self, request: Request) -> Visit:
        return Visit.of(request, self.service.recommender.clock)

    def row(self, item: str) -> int:
        row = self.served.snapshot.index.get(item)
        if row is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no item {item!r}")
        return row

    def rows(self, items: tuple[str, ...]) -> list[int]:
        return list(map(int, self.served.snapshot.rows_of(items)))

    def card(self, row: int) -> dict[str, Any]:
        """What is shown of an item that nothing recommended."""
        snapshot, shelf = self.served.snapshot, self.served.shelf
        return {
            "item_id": snapshot.ids[row],
            "title": snapshot.titles[row],
            "category": snapshot.categories[row],
            "brand": snapshot.brands[row],
            "price": f"{int(shelf.price_minor[row]) / 100:.2f}",
            "currency": shelf.currency[row],
            "in_stock": bool(shelf.in_stock[row]),
        }

    async def tell(self, visit: Visit, name: str, items: list[str], **more: Any) -> None:
        """Send an event through the door.

        Raises:
            ProblemError: it was not taken.
        """
        said = {key: value for key, value in more.items() if value is not None}
        event = visit.event(name, self.service.recommender.clock, self.served, items, **said)
        taken = await self.service.ingest.take(msgspec.json.encode(event))
        if taken.rejected:
            broken = "; ".join(f"{one.field}: {one.rule}" for one in taken.results[0].violations)
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, broken)

    async def found(self, visit: Visit, term: str) -> list[Any]:
        """The items whose title holds every word of the term, in the shopper's order."""
        words = [word.lower() for word in WORD.findall(term)]
        titles = self.served.snapshot.titles
        rows = (n for n, title in enumerate(titles) if all(word in title.lower() for word in words))
        items = [self.served.snapshot.ids[n] for n, _ in zip(rows, range(200), strict=False)] if words else []
        if not items:
            return []
        asked = RankRequest(**msgspec.structs.asdict(visit.asks(search_term=term)), items=items)
        ranked = await self.service.recommender.rank("search", asked)
        return ranked.results[:FOUND]

    async def page(
        self, request: Request, name: str, more: dict[str, Any], shown: List, *, visit: Visit | None = None
    ) -> Response:
        """A page with its list, what is known of the session, and why; `?part=1` gives the list and the panel alone."""
        visit = visit or self.visit(request)
        asked = visit.asks(count=LISTED, **shown.said)
        answer: RecommendAnswer = await self.service.recommender.recommend(shown.placement, asked)
        why: ExplainAnswer = await self.service.recommender.explain(shown.placement, asked)
        part = _is_part(request)
        if answer.results and not part:
            items = [result.item_id for result in answer.results]
            await self.tell(visit, "view_item_list", items, attribution_token=answer.attribution_token)
        session = next((row for row in why.rows if row.view == "session"), None)
        html = PAGES.get_template("list.html.j2" if part else f"{name}.html.j2").render(
            visit=visit,
            shown=shown,
            answer=answer,
            parts={result.item_id: result.parts for result in why.results},
            why=why,
            session={
                k: v for k, v in (session.features if session else {}).items() if v not in (None, 0, [])
            },
            events=int((session.version or (0, 0))[1]) if session else 0,
            **more,
        )
        response = HTMLResponse(html)
        visit.keep(response)
        return response


def _is_part(request: Request) -> bool:
    """Whether an open page asks for its list again: nothing happened."""
    return request.query_params.get("part") == "1"


def _to(path: str, visit: Visit) -> Response:
    response = RedirectResponse(path, HTTPStatus.SEE_OTHER)
    visit.keep(response)
    return response

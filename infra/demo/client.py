"""Asks the scorer as a shop's server would, over one kept connection a thread."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.errors import BraidError
from contracts.settings import Settings


class ScorerError(BraidError):
    """The scorer is away or refuses a request."""


class ScorerClient:
    """Recommendations and events over HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._http = httpx.Client(base_url=settings.scorer_url, timeout=10)

    def recommend(self, placement: str = "home", **request: Any) -> dict[str, Any]:
        """The scorer's answer; anything but 2xx raises `ScorerError`."""
        body: dict[str, Any] = self._post(f"/v1/placements/{placement}:recommend", request).json()
        return body

    def send(self, event: dict[str, Any]) -> None:
        """Send one wire event to `/v1/events`; one that is refused raises `ScorerError` as well."""
        answer = self._post("/v1/events", event).json()
        if answer["rejected"]:
            raise ScorerError(f"the scorer refused an event: {answer['results']}")

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        try:
            return self._http.post(path, json=body).raise_for_status()
        except httpx.HTTPError as error:
            raise ScorerError(f"the scorer did not answer {path}: {error!r}") from error

    def ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

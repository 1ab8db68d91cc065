"""Asks the scorer as a shop's server would, over one kept connection a thread."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.settings import Settings


class ScorerClient:
    """Recommendations and events over HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._http = httpx.Client(base_url=settings.scorer_url, timeout=10)

    def recommend(self, placement: str = "home", **request: Any) -> dict[str, Any]:
        """The scorer's answer; an error status raises `httpx.HTTPStatusError`."""
        answer = self._http.post(f"/v1/placements/{placement}:recommend", json=request)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def send(self, event: dict[str, Any]) -> None:
        """Send one wire event to `/v1/events`."""
        self._http.post("/v1/events", json=event).raise_for_status()

    def ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

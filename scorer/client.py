"""A client of the scorer for shops in Python: typed requests and answers, errors that say what is wrong.

```python
with Client("http://127.0.0.1:18706") as braid:
    answer = braid.recommend("product", RecommendRequest(visitor_id="v-17", item_id="85123A"))
    braid.send([event])
```
Needs httpx and msgspec alone. A connection that cannot be made is tried three times; a sent event does no harm when it is sent again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
import msgspec

from contracts.errors import BraidError
from contracts.policy import PlacementName
from scorer.wire import (
    EventsAnswer,
    ExplainAnswer,
    ProblemDetails,
    RankAnswer,
    RankRequest,
    RecommendAnswer,
    RecommendRequest,
)

SECONDS = 2.0
TRIES = 3
Action = Literal["mute", "unmute", "less", "reset"]
Scope = Literal["item", "category"]
Answer = TypeVar("Answer")


class ScorerError(BraidError):
    """The scorer refused, or could not be asked; `problem` is what it said, None where nothing came."""

    def __init__(self, message: str, problem: ProblemDetails | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class Client:
    """One scorer, over connections that are kept open; may be shared between threads."""

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        """`seconds`: how long an answer is waited for."""
        transport = httpx.HTTPTransport(retries=TRIES - 1)
        self._http = httpx.Client(base_url=url, timeout=seconds, transport=transport, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def recommend(self, placement: PlacementName, request: RecommendRequest) -> RecommendAnswer:
        """Items for a shopper.

        Raises:
            ScorerError: the request was refused, or no answer came in time.
        """
        return self._ask(f"/v1/placements/{placement}:recommend", request, RecommendAnswer)

    def rank(self, placement: PlacementName, request: RankRequest) -> RankAnswer:
        """The shop's own items in the shopper's order; raises as `recommend`."""
        return self._ask(f"/v1/placements/{placement}:rank", request, RankAnswer)

    def explain(self, placement: PlacementName, request: RecommendRequest) -> ExplainAnswer:
        """What would be recommended, and why; raises as `recommend`."""
        return self._ask(f"/v1/placements/{placement}:explain", request, ExplainAnswer)

    def send(self, events: Sequence[Mapping[str, Any]]) -> EventsAnswer:
        """Hand over wire events: one status each, in their order; raises as `recommend`, and then none is known to be taken."""
        return self._ask("/v1/events", {"events": events}, EventsAnswer)

    def prefer(
        self, event: Mapping[str, Any], action: Action, scope: Scope = "item", value: str = "all"
    ) -> EventsAnswer:
        """What a shopper wants to see less or no more of, or again; `reset` forgets all of the scope.

        Args:
            event: a wire event of this visit (who, when, which consent); its name, id and items are replaced.
            value: the item's id or the category's path.
        """
        said = {"action": action, "scope": scope, "value": value}
        own = {"event_id": uuid.uuid4().hex, "event_name": "preference_set", "items": [], "preference": said}
        return self.send([{**event, **own}])

    def _ask(self, path: str, body: object, gives: type[Answer]) -> Answer:
        try:
            got = self._http.post(
                path, content=msgspec.json.encode(body), headers={"content-type": "application/json"}
            )
        except httpx.HTTPError as error:
            raise ScorerError(
                f"{self._http.base_url}{path.lstrip('/')}: {type(error).__name__}: {error}"
            ) from error
        try:
            if got.is_success:
                return msgspec.json.decode(got.content, type=gives)
            problem = msgspec.json.decode(got.content, type=ProblemDetails)
        except msgspec.MsgspecError:
            raise ScorerError(f"{path}: {got.status_code} {got.reason_phrase}") from None
        raise ScorerError(f"{path}: {problem.status} {problem.detail}", problem)

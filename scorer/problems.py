"""Errors as problem+json: what is wrong, with which value, and what to do.

Source: RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from scorer.wire import ProblemDetails

MEDIA_TYPE = "application/problem+json"
LOG = logging.getLogger("scorer")


class ProblemError(Exception):
    """An answer that is an error, raised where it is known."""

    def __init__(self, status: HTTPStatus, detail: str, missing: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.missing = missing or []


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem+json answer."""

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return problem_response(request, error.status, error.detail, missing=error.missing)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        detail = f"{request.method} {request.url.path}: {status.description or status.phrase}"
        return problem_response(request, status, detail, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        LOG.error("unexpected", exc_info=error, extra={"path": request.url.path})
        detail = f"unexpected {type(error).__name__}; the log has the trace"
        return problem_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def problem_response(
    request: Request,
    status: HTTPStatus,
    detail: str,
    *,
    missing: list[str] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The answer to `request` that says what is wrong."""
    body = ProblemDetails(
        title=status.phrase,
        status=status.value,
        detail=detail,
        instance=request.url.path,
        missing=missing or [],
    )
    extra = {"retry-after": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(
        msgspec.json.encode(body), status.value, media_type=MEDIA_TYPE, headers={**extra, **(headers or {})}
    )

"""Health checks: each asks the process itself and answers True or False, never raises for a process that is not up."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import redis

SECONDS = 2.0


def http_ok(url: str) -> Callable[[], bool]:
    """True when `url` answers 200."""

    def check() -> bool:
        try:
            return httpx.get(url, timeout=SECONDS, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return check


def port_open(host: str, port: int) -> bool:
    """True when something accepts connections."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return True
    except OSError:
        return False


def redis_answers(host: str, port: int) -> Callable[[], bool]:
    """True when Redis answers PING, so when its data is loaded."""

    def check() -> bool:
        try:
            with redis.Redis(
                host=host, port=port, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return check


def http_json(url: str) -> dict[str, Any] | None:
    """The JSON object at `url`, None while nothing answers."""
    try:
        answer = httpx.get(url, timeout=SECONDS, trust_env=False)
        if answer.status_code != httpx.codes.OK:
            return None
        found: dict[str, Any] = answer.json()
        return found
    except (httpx.HTTPError, json.JSONDecodeError):
        return None


def file_and_port(path: Path, host: str, port: int) -> Callable[[], bool]:
    """True when the process has written `path` and listens."""
    return lambda: path.is_file() and port_open(host, port)

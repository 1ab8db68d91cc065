"""Flink's REST API, as far as submitting a job needs it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import BraidError

SECONDS = 120


class ClusterError(BraidError):
    """The cluster refused a request or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running JobManager by its address."""

    url: str

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path)

    def get_list(self, path: str) -> list[dict[str, Any]]:
        return self._told("GET", path) or []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, json.dumps(body).encode(), "application/json")

    def cancel(self, job_id: str) -> None:
        self._ask("PATCH", f"/jobs/{job_id}")

    def upload(self, jar: Path) -> str:
        """Send a jar; returns the id under which it can be run."""
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="jarfile"; filename="{jar.name}"\r\n'
            "Content-Type: application/x-java-archive\r\n\r\n"
        )
        body = head.encode() + jar.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        answer = self._ask("POST", "/jars/upload", body, f"multipart/form-data; boundary={boundary}")
        return Path(answer["filename"]).name

    def delete_jar(self, jar_id: str) -> None:
        self._ask("DELETE", f"/jars/{jar_id}")

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> dict[str, Any]:
        return dict(self._told(method, path, body, kind) or {})

    def _told(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        """Send one request; None where the answer is empty.

        Raises:
            ClusterError: it cannot be reached, or it answered with an error.
        """
        headers = {"Content-Type": kind} if kind else {}
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ClusterError(
                f"{method} {request.full_url}: {error.code} {_causes(error.read())}"
            ) from error
        except OSError as error:
            raise ClusterError(f"{method} {request.full_url}: {error}; is the JobManager up?") from error
        return json.loads(text) if text.strip() else None


def _causes(text: bytes) -> str:
    """What the cluster's errors say."""
    try:
        return told("\n".join(json.loads(text).get("errors", [])))
    except ValueError:
        return told(text.decode("utf-8", "replace"))


def told(trace: str) -> str:
    """The lines of a Java stack trace that say something."""
    lines = [line for line in trace.splitlines() if line and not line.startswith(("\tat ", "\t... "))]
    return "\n".join(lines)[:4000]

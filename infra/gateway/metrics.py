"""The gateway's metrics, all of them."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from contracts.logs import RoomLog
from infra.gateway.routing import Routed

log = RoomLog("gateway")


class Metrics:
    """Prometheus metrics under `braid_gateway_`; what is retried is logged as well."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._read = Counter("braid_gateway_read", "Records read from events_raw", registry=registry)
        self._admitted = Counter("braid_gateway_admitted", "Events written to events", registry=registry)
        self._rejected = Counter("braid_gateway_rejected", "Records refused", ["reason"], registry=registry)
        self._retries = Counter(
            "braid_gateway_retries", "Kafka calls to repeat", ["call", "error"], registry=registry
        )
        self._lag = Gauge(
            "braid_gateway_lag", "Records of events_raw not yet moved", ["partition"], registry=registry
        )
        self._seconds = Histogram("braid_gateway_batch_seconds", "From read to stored", registry=registry)

    def moved(self, routed: Sequence[Routed], seconds: float) -> None:
        reasons = [record.reason for record in routed if record.reason is not None]
        self._read.inc(len(routed))
        self._admitted.inc(len(routed) - len(reasons))
        for reason in reasons:
            self._rejected.labels(reason).inc()
        self._seconds.observe(seconds)

    def lag(self, partition: int, records: int) -> None:
        self._lag.labels(str(partition)).set(records)

    def retried(self, what: str, error: str) -> None:
        self._retries.labels(what, error).inc()
        log("retried", level="warning", call=what, error=error)

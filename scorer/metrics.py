"""Every metric of the scorer, in one typed list."""

from __future__ import annotations

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The counters of one service; each service has a registry of its own."""

    def __init__(self, *, shared: bool = False) -> None:
        """`shared`: this process is one of several workers, and its counters lie where prometheus-client's variable says."""
        self._shared = shared
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter(
            "requests", "Requests to a placement by what was answered", "verb", "placement", "status", "rung"
        )
        self.request_seconds = Histogram(
            "braid_scorer_request_seconds",
            "Time of a request to a placement inside the scorer",
            ("verb", "placement"),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.stage_seconds = Histogram(
            "braid_scorer_stage_seconds",
            "Time of one stage of a request: rows, derive, decide, record",
            ("stage",),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.decisions = self._counter(
            "decisions", "Decision records: produced, dropped (queue full), failed (not delivered)", "outcome"
        )
        self.events = self._counter("events", "Events at /v1/events: accepted, rejected, failed", "outcome")
        self.redis_errors = self._counter(
            "redis_errors",
            "Reads that gave no rows: error, timeout, open (breaker), rebuilding, unreadable row",
            "kind",
        )
        self.model_errors = self._counter("model_errors", "Decisions that failed and fell to popular")
        self.derive_errors = self._counter("derive_errors", "Decisions whose rows gave no derived features")
        self.catalog_updates = self._counter(
            "catalog_updates",
            "Catalog updates: shelved, known (nothing new to what serves), refused",
            "outcome",
        )
        self.trends_refused = self._counter("trends_refused", "Rows of item_trends that cannot be read")
        self.trending = Gauge(
            "braid_scorer_trending_items",
            "Items in a rush this hour",
            registry=self.registry,
            multiprocess_mode="liveall",
        )
        self.shed = self._counter(
            "shed", "Requests under overload: light (nothing was read for them), refused (503)", "how"
        )
        self.snapshots_refused = self._counter("snapshots_refused", "Snapshots that failed their checks")
        self.policies_refused = self._counter("policies_refused", "Policy files that could not be used")
        self.policy_rules_idle = Gauge(
            "braid_scorer_policy_rules_idle",
            "Rules of the policy that name nothing that the snapshot has",
            registry=self.registry,
            multiprocess_mode="liveall",
        )
        self.snapshot = Gauge(
            "braid_scorer_snapshot_info",
            "1 for the snapshot that serves",
            ("version", "model_version", "kind"),
            registry=self.registry,
            multiprocess_mode="liveall",
        )
        self._serving: tuple[str, str, str] | None = None

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"braid_scorer_{name}", documentation, labels, registry=self.registry)

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Times the body as a stage of a request."""
        return self.stage_seconds.labels(name).time()

    def serves(self, version: str, model_version: str, kind: str) -> None:
        """Say which snapshot serves from now on."""
        if self._serving is not None:
            self.snapshot.labels(*self._serving).set(0)
            if not self._shared:
                # From the files of several processes nothing can be removed.
                self.snapshot.remove(*self._serving)
        self._serving = (version, model_version, kind)
        self.snapshot.labels(*self._serving).set(1)

    def page(self) -> bytes:
        """The text that Prometheus scrapes: of several workers the sums, gauges of each."""
        if not self._shared:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

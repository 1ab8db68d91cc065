"""What the feature writer counts: one declared list."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 15, 60, 600)


class WriterMetrics:
    """The writer's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.written = self._counter("written", "Rows set in the online store")
        self.older = self._counter("older", "Rows dropped because the store held a newer one")
        self.superseded = self._counter("superseded", "Rows whose batch held a newer one of the same key")
        self.poison = self._counter("poison", "Records that are no row of a declared view")
        self.tombstones = self._counter("tombstones", "Records without a value")
        self.withdrawn = self._counter("withdrawn", "Tombstones left by withdrawals of consent")
        self.erased = self._counter("erased", "Tombstones left by erasures")
        self.rebuilds = self._counter("rebuilds", "Partitions read again because the store had lost them")
        self.retries = self._counter("retries", "Calls tried again because the store did not answer")
        self.lag = Gauge("feature_writer_lag", "Records not read yet", ["partition"], registry=self.registry)
        self.delay = Histogram(
            "feature_writer_delay_seconds",
            "From a row's newest event to its write, by the settings' clock",
            registry=self.registry,
            buckets=SECONDS,
        )

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"feature_writer_{name}", text, registry=self.registry)

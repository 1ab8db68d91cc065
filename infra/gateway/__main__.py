"""`python -m infra.gateway`: moves `events_raw` to `events` or `rejected_events` until SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from functools import partial

from confluent_kafka import KafkaException
from prometheus_client import REGISTRY, start_http_server

from contracts.logs import RoomLog
from contracts.settings import from_environment
from infra.gateway.kafka import admit_large_rejections, consumer, producer
from infra.gateway.loop import DeliveryError, Gateway
from infra.gateway.metrics import Metrics

log = RoomLog("gateway")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.gateway", description=__doc__)
    parser.add_argument("--instance", type=int, default=0, help="which of several gateways this one is")
    instance = parser.parse_args().instance
    settings, stop = from_environment(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    bootstrap = settings.kafka_bootstrap
    try:
        admit_large_rejections(bootstrap)
        start_http_server(settings.port("gateway_metrics"), settings.host)
        log("started", instance=instance, bootstrap=bootstrap)
        meter = Metrics(REGISTRY)
        Gateway(
            consumer(bootstrap, instance, partial(meter.retried, "commit")),
            producer(bootstrap),
            settings.clock(),
            meter,
            stop,
        ).run()
    except (KafkaException, DeliveryError) as error:
        log("failed", level="error", error=str(error))
        return 1
    log("stopped", instance=instance)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What Prometheus is told: requests, rows, latencies, versions."""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

__all__ = ["Metrics"]

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the library's: several workers count in files there


class Metrics:
    """Counts of one process, or of all workers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept = self.registry
        self._requests = Counter(
            "gradline_requests_total", "Requests, by answer.", ("model", "code"), registry=kept
        )
        self._rows = Counter(
            "gradline_rows_total", "Rows predicted.", ("model", "version"), registry=kept
        )
        self._seconds = Histogram(
            "gradline_request_seconds",
            "From a request's headers to its answer.",
            ("model",),
            buckets=SECONDS,
            registry=kept,
        )
        self._version = Gauge(
            "gradline_model_version",
            "The version that is served.",
            ("model",),
            registry=kept,
            multiprocess_mode="mostrecent",
        )
        self._refused = Counter(
            "gradline_versions_refused_total", "Versions not loaded.", ("model",), registry=kept
        )
        self._damaged = Gauge(
            "gradline_package_damaged",
            "1 where the files of the served version changed on disk.",
            ("model",),
            registry=kept,
            multiprocess_mode="mostrecent",
        )
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, model: str, code: int, seconds: float) -> None:
        """Count a request; `model` is "" where it was about none that is served."""
        counted = self._known.get((model, code))
        if counted is None:  # looking labels up takes as long as an inference
            counted = self._requests.labels(model, code), self._seconds.labels(model)
            self._known[model, code] = counted
        counted[0].inc()
        counted[1].observe(seconds)

    def predicted(self, model: str, version: str, rows: int) -> None:
        """Count predicted rows."""
        self._rows.labels(model, version).inc(rows)

    def serving(self, model: str, version: str) -> None:
        """Note the version that is served now."""
        self._version.labels(model).set(int(version))
        self._damaged.labels(model).set(0)

    def refused(self, model: str) -> None:
        """Count a version that did not load."""
        self._refused.labels(model).inc()

    def damaged(self, model: str, damaged: bool) -> None:
        """Note whether the files of what is served are no longer those that were loaded."""
        self._damaged.labels(model).set(damaged)

    def text(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

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
        self._answers: dict[tuple[str, int], list[float]] = {}
        self._predicted: dict[tuple[str, str], int] = {}

    def answered(self, model: str, code: int, seconds: float) -> None:
        """Count a request; `model` is "" where it was about none that is served.

        It is only noted, and counted by `settle`: the library takes as long as an inference.
        """
        self._answers.setdefault((model, code), []).append(seconds)

    def turned_away(self, model: str, status: int) -> None:
        """Count a request that was refused before it was read to its end."""
        self._requests.labels(model, str(status)).inc()

    def predicted(self, model: str, version: str, rows: int) -> None:
        """Count predicted rows."""
        key = model, version
        self._predicted[key] = self._predicted.get(key, 0) + rows

    def settle(self) -> None:
        """Hand over what was noted since."""
        answers, self._answers = self._answers, {}
        predicted, self._predicted = self._predicted, {}
        for (model, code), times in answers.items():
            self._requests.labels(model, code).inc(len(times))
            seconds = self._seconds.labels(model)
            for elapsed in times:
                seconds.observe(elapsed)
        for (model, version), rows in predicted.items():
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
        self.settle()
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

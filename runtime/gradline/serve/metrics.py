"""Metrics for Prometheus: requests, rows, latencies, versions."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)  # seconds
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's variable: workers count in there


class ServerMetrics:
    """The metrics of one process, or of all workers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry, multiprocess_mode="mostrecent")
        self._requests = counter(
            "gradline_requests_total", "Requests, by answer.", ("model", "code")
        )
        self._rows = counter("gradline_rows_total", "Rows predicted.", ("model", "version"))
        self._seconds = Histogram(
            "gradline_request_seconds",
            "From a request's headers to its answer.",
            ("model",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._version = gauge("gradline_model_version", "The served version.", ("model",))
        self.refused = counter(
            "gradline_versions_refused_total", "Versions that failed to load.", ("model",)
        )
        self.damaged = gauge(
            "gradline_package_damaged",
            "1 if the files of the served version changed on disk.",
            ("model",),
        )
        self._new_answers: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._new_rows: dict[tuple[str, str], int] = defaultdict(int)

    def answered(self, model: str, code: int, seconds: float) -> None:
        """Note a request; `model` is "" if it was not about a served model.

        `flush` counts it later: prometheus_client takes as long as an inference.
        """
        self._new_answers[model, code].append(seconds)

    def turned_away(self, model: str, status: int) -> None:
        """Count a request that was refused before it was read completely."""
        self._requests.labels(model, str(status)).inc()

    def predicted(self, model: str, version: str, rows: int) -> None:
        """Note predicted rows."""
        self._new_rows[model, version] += rows

    def flush(self) -> None:
        """Count what was noted since the last call."""
        answers, self._new_answers = self._new_answers, defaultdict(list)
        predicted, self._new_rows = self._new_rows, defaultdict(int)
        for (model, code), times in answers.items():
            self._requests.labels(model, code).inc(len(times))
            seconds = self._seconds.labels(model)
            for elapsed in times:
                seconds.observe(elapsed)
        for (model, version), rows in predicted.items():
            self._rows.labels(model, version).inc(rows)

    def serving(self, model: str, version: str) -> None:
        """Set the served version."""
        self._version.labels(model).set(int(version))
        self.damaged.labels(model).set(0)

    def text(self) -> bytes:
        """Format all metrics as Prometheus's text format."""
        self.flush()
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

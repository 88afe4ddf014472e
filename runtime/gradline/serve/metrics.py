"""Metrics for Prometheus: requests, rows, latencies, versions."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

if TYPE_CHECKING:
    from gradline.serve.protocol.outputs import Answer
    from gradline.serve.protocol.served_model import ServedModel

LARGEST_BATCH = 1 << 16  # numbers, compared within a millisecond
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)  # seconds
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's variable: workers count in there


@dataclass
class Batch:
    """Collects rows, which are compared with the training ranges together.

    To compare a single row would cost as much as to predict it.
    """

    rows: list[NDArray[Any]] = field(default_factory=list)
    size: int = 0  # numbers


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
        self._outside = counter(
            "gradline_rows_outside_total",
            "Rows predicted outside the training ranges.",
            ("model", "version"),
        )
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
        self._batches: dict[tuple[ServedModel, bool], Batch] = defaultdict(Batch)

    def answered(self, model: str, code: int, seconds: float) -> None:
        """Note a request; `model` is "" if it was not about a served model.

        `flush` counts it later: prometheus_client takes as long as an inference.
        """
        self._new_answers[model, code].append(seconds)

    def turned_away(self, model: str, status: int) -> None:
        """Count a request that was refused before it was read completely."""
        self._requests.labels(model, str(status)).inc()

    def predicted(self, served: ServedModel, answer: Answer) -> None:
        """Note predicted rows."""
        name, version = served.model.name, served.version
        self._new_rows[name, version] += answer.rows
        if not served.has_ranges:
            return
        if answer.beyond:
            self._outside.labels(name, version).inc(answer.beyond)
        if answer.values is not None:
            values, plan = answer.values
            batch = self._batches[served, plan is served.model.plan]
            batch.rows.append(values)
            batch.size += values.size
            if batch.size > LARGEST_BATCH:
                self._compare(served, plan is served.model.plan)

    def _compare(self, served: ServedModel, is_own: bool) -> None:
        """Count the rows of a batch that are outside the training ranges."""
        rows = np.concatenate(self._batches.pop((served, is_own)).rows)
        plan = served.model.plan if is_own else served.plan_of_matrix
        found = served.count_outside(rows, plan)
        self._outside.labels(served.model.name, served.version).inc(found)

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
        for key in list(self._batches):
            self._compare(*key)

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

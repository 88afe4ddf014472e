"""fit(): from a table to W and b."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.errors import InputError
from gradline.files import Dialect
from gradline_trainer.advice import advise
from gradline_trainer.columns import Columns
from gradline_trainer.coordinates import Coordinates
from gradline_trainer.descent import descend
from gradline_trainer.diagnosis import Optimality, diverged, measure_optimality
from gradline_trainer.gathering import Progress, gather
from gradline_trainer.losses import MomentsLoss, RowsLoss
from gradline_trainer.metrics import Metrics, metrics_from_moments, metrics_over_rows
from gradline_trainer.moments import Moments
from gradline_trainer.options import Options
from gradline_trainer.problem import Problem, state_problem
from gradline_trainer.rows import RowReader, Rows
from gradline_trainer.sources import open_table

__all__ = ["Fit", "fit"]

CONVERGED = 1e-12  # of the loss, where a run was given no tolerance to stop at


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained linear model, y = x @ weights.T + bias in the table's own units.

    Attributes:
        weights: W, shape (k, d), float64.
        bias: b, shape (k,), float64.
        features: The d input names.
        targets: The k output names.
        history: The loss of each epoch, before its step.
        metrics: "training" and "held_out" (None without a holdout): Metrics by target name.
        converged: Whether the loss gap is within the tolerance.
        optimality: How far from the optimum the run ended.
        learning_rate: The step that was taken.
        largest_stable_rate: 2/λmax, from which on the loop diverges.
        moments: Of the training rows of [features, targets].
        rows_read, rows_dropped, rows_held_out: Counts.
        paths: The files that were read.
        options: What the run was asked for.
        columns: What the table's columns were used for.
        warnings: What a person should know before they trust the model.
    """

    weights: Tensor
    bias: Tensor
    features: list[str]
    targets: list[str]
    history: list[float]
    metrics: dict[str, dict[str, Metrics] | None]
    converged: bool
    optimality: Optimality
    learning_rate: float
    largest_stable_rate: float
    moments: Moments
    rows_read: int
    rows_dropped: int
    rows_held_out: int
    paths: list[Path]
    options: Options
    columns: Columns
    warnings: list[str]


def fit(
    table: Any,
    targets: Sequence[str] | str | None = None,
    features: Sequence[str] | str | None = None,
    *,
    exclude: Sequence[str] | str = (),
    sample_weight: Any = None,
    separator: str | None = None,
    decimal_comma: bool = False,
    null: Sequence[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> Fit:
    """Return the linear model that gradient descent learns from a table.

    Args:
        table: A path, a glob or a folder; a polars, pandas or pyarrow table; a mapping of
            columns; or a pair (X, Y) of arrays or tensors, shapes (n, d) and (n, k) or (n,).
        targets: The columns to predict; for a pair (X, Y) their names, y0… by default.
        features: The columns to predict from, in the graph's order; by default every other
            numeric column, and for a pair (X, Y) the names x0….
        exclude: Columns that are not to be features.
        sample_weight: The column of sample weights; for a pair (X, Y) an array of shape (n,).
        separator: Of CSV files, by default the extension's.
        decimal_comma: Whether 1,5 means one and a half.
        null: Further texts that mean a missing value.
        progress: Called with ("rows", count) and ("epochs", count).
        **options: See `Options`.

    Raises:
        InputError: For a table, column or option that does not fit, naming it.
        RefusedError: Where the run diverged, saying why.
    """
    chosen = Options.of(**options)
    report = progress or (lambda stage, count: None)
    nulls = (*Dialect.nulls, *([null] if isinstance(null, str) else null))
    dialect = Dialect(separator, decimal_comma, nulls)
    source, columns = open_table(table, targets, features, exclude, sample_weight, dialect)
    reader = RowReader(source, columns, chosen)
    moments, rows = gather(reader, report)
    problem = state_problem(moments, len(columns.features), chosen)
    if not len(problem.active):
        raise InputError(
            "every feature has one value only: there is nothing to learn from",
            code="constant-features",
            hint="choose other features",
        )
    coordinates = Coordinates(problem, chosen.preconditioning)
    loss = _loss(coordinates, rows, chosen)
    return _descend(reader, moments, rows, coordinates, loss, report)


def _loss(
    coordinates: Coordinates, rows: list[Rows] | None, options: Options
) -> RowsLoss | MomentsLoss:
    if options.gradient_source == "moments":
        return MomentsLoss(coordinates)
    assert rows is not None  # noqa: S101 - they were kept for this
    dtype = np.float32 if options.in_float32 else np.float64
    active = coordinates.problem.active.numpy()
    features = np.concatenate([r.features[:, active] for r in rows]) - coordinates.shift.numpy()
    targets = np.concatenate([r.targets for r in rows])
    weights = None
    if rows[0].weights is not None:
        column = np.concatenate([w for r in rows if (w := r.weights) is not None])[:, None]
        weights = torch.from_numpy(column.astype(dtype))
    with np.errstate(over="ignore"):  # an infinity shows in the loss, and is diagnosed there
        x, y = (torch.from_numpy(np.ascontiguousarray(a, dtype=dtype)) for a in (features, targets))
        return RowsLoss(coordinates, x, y, weights)


def _descend(
    reader: RowReader,
    moments: Moments,
    rows: list[Rows] | None,
    coordinates: Coordinates,
    loss: RowsLoss | MomentsLoss,
    report: Progress,
) -> Fit:
    """Run the loop from its start, and return what it learned with all that is known of it."""
    options, columns, problem = reader.options, reader.columns, coordinates.problem
    names = [columns.features[int(j)] for j in problem.active]
    d = len(columns.features)
    rate = (
        1 / coordinates.steepest
        if options.learning_rate == "auto"
        else float(options.learning_rate)
    )
    dtype = torch.float32 if options.in_float32 else torch.float64
    weights, bias = coordinates.start(d, options.seed, dtype)

    resolution = float(problem.resolution.mean())

    def enough(by_weights: Tensor, by_bias: Tensor, value: float) -> bool:
        if not options.tolerance:
            return False
        return coordinates.gap(by_weights, by_bias) <= options.tolerance * max(value, resolution)

    weights, bias, history = descend(
        loss,
        weights,
        bias,
        train_bias=problem.bias,
        learning_rate=rate,
        epochs=options.epochs,
        enough=enough,
        progress=lambda epoch: report("epochs", epoch + 1),
    )
    tolerance = options.tolerance or CONVERGED
    losses = history
    if math.isfinite(history[-1]):
        optimality = measure_optimality(
            loss,
            coordinates,
            weights,
            bias,
            learning_rate=rate,
            tolerance=tolerance,
            resolution=resolution,
        )
        losses = [*history, optimality.loss]
    refusal = diverged(coordinates, losses, rate, names)
    if refusal is not None:
        raise refusal
    folded, offset = coordinates.fold(weights, bias, d)
    converged = optimality.gap <= tolerance * optimality.loss
    return Fit(
        weights=folded,
        bias=offset,
        features=columns.features,
        targets=columns.targets,
        history=[max(value, loss.resolution) for value in history],
        metrics=_metrics(reader, moments, rows, folded, offset, problem),
        converged=converged,
        optimality=optimality,
        learning_rate=rate,
        largest_stable_rate=2 / coordinates.steepest,
        moments=moments,
        rows_read=reader.read,
        rows_dropped=reader.dropped,
        rows_held_out=reader.held_out,
        paths=list(reader.table.paths),
        options=options,
        columns=columns,
        warnings=advise(reader, problem, None if converged else optimality),
    )


def _metrics(
    reader: RowReader,
    moments: Moments,
    rows: list[Rows] | None,
    weights: Tensor,
    bias: Tensor,
    problem: Problem,
) -> dict[str, dict[str, Metrics] | None]:
    W, b = weights.numpy(), bias.numpy()
    centre = moments.mean[W.shape[1] :]
    if rows is None:
        training: list[Metrics] | None = metrics_from_moments(
            moments, W, b, problem.resolution.numpy()
        )
    else:
        training = metrics_over_rows(rows, W, b, centre)
    held_out = None
    if reader.held_out:
        held_out = metrics_over_rows((held for _, held in reader), W, b, centre)
    names = reader.columns.targets
    return {
        "training": dict(zip(names, training or [], strict=True)),
        "held_out": dict(zip(names, held_out, strict=True)) if held_out else None,
    }

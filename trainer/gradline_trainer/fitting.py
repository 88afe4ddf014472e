"""fit(): from a table to W and b."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.errors import InputError
from gradline.files import Dialect
from gradline.inputs import column_names
from gradline.tables import open_files, open_frame
from gradline_trainer.arrays import ArrayTable, matrix_of
from gradline_trainer.columns import Columns, Table, choose_columns
from gradline_trainer.coordinates import Coordinates
from gradline_trainer.descent import descend
from gradline_trainer.diagnosis import Optimality, diverged, measure_optimality
from gradline_trainer.losses import MomentsLoss, RowsLoss
from gradline_trainer.metrics import Metrics, metrics_from_moments, metrics_over_rows
from gradline_trainer.moments import Moments, merge_all
from gradline_trainer.options import Options
from gradline_trainer.problem import Problem, state_problem
from gradline_trainer.rows import RowReader, Rows

__all__ = ["Fit", "fit"]

Progress = Callable[[str, int], None]
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
    source: Table
    if isinstance(table, tuple):
        source, targets, features, sample_weight = _pair(table, targets, features, sample_weight)
    elif isinstance(table, str | Path):
        nulls = (*Dialect.nulls, *([null] if isinstance(null, str) else null))
        source = open_files(table, Dialect(separator, decimal_comma, nulls))
    else:
        source = table if isinstance(table, ArrayTable) else open_frame(table)
    columns = choose_columns(source, targets, features, exclude, sample_weight)
    reader = RowReader(source, columns, chosen)
    moments, rows = _gather(reader, report)
    _check_targets(moments, columns)
    problem = state_problem(moments, len(columns.features), chosen)
    coordinates = Coordinates(problem, chosen.preconditioning)
    loss = _loss(coordinates, rows, chosen)
    return _descend(reader, moments, rows, coordinates, loss, report)


def _pair(pair: Any, targets: Any, features: Any, weights: Any) -> tuple[ArrayTable, Any, Any, Any]:
    """Return a pair (X, Y), and perhaps weights, as a table, and its columns' names."""
    if len(pair) != 2:
        raise InputError(
            f"a tuple of {len(pair)} is no table", code="unknown-table", hint="give (X, Y)"
        )
    parts = [matrix_of(pair[0], "X"), matrix_of(pair[1], "Y")]
    if features is None:
        features = column_names(pair[0]) or [f"x{j}" for j in range(parts[0].shape[1])]
    if targets is None:
        targets = column_names(pair[1]) or [f"y{j}" for j in range(parts[1].shape[1])]
    features, targets = ([n] if isinstance(n, str) else list(n) for n in (features, targets))
    name = None
    if weights is not None:
        parts.append(matrix_of(weights, "sample_weight"))
        name = "sample_weight"
        while name in (*features, *targets):
            name += "_"
    for what, names, part in (("X", features, parts[0]), ("Y", targets, parts[1])):
        if len(names) != part.shape[1]:
            raise InputError(
                f"{what} has {part.shape[1]} columns, {len(names)} names were given",
                code="wrong-shape",
                hint="give one name per column",
            )
    if len({len(part) for part in parts}) > 1:
        raise InputError(
            f"X, Y and weights have {', '.join(str(len(part)) for part in parts)} rows",
            code="wrong-shape",
            hint="give one row of each per observation",
        )
    table = ArrayTable(np.hstack(parts), [*features, *targets, *([name] if name else [])])
    return table, targets, features, name


def _gather(reader: RowReader, report: Progress) -> tuple[Moments, list[Rows] | None]:
    """Return the moments of the training rows, and the rows where they are at hand.

    They are where the loop needs them, or where one block holds them all.
    """
    keep_all = reader.options.gradient_source == "rows"
    kept: list[Rows] = []
    blocks = 0

    def moments() -> Iterable[Moments]:
        nonlocal blocks
        for rows, _ in reader:
            report("rows", reader.read)
            blocks += 1
            if keep_all or blocks == 1:
                kept.append(rows)
            else:
                kept.clear()
            if len(rows):
                yield Moments.of(np.hstack([rows.features, rows.targets]), rows.weights)

    merged = merge_all(moments())
    count = 0 if merged is None else merged.rows
    if merged is None or count < 2:
        counts = f"{reader.read} read, {reader.dropped} dropped, {reader.held_out} held out"
        raise InputError(
            f"{count or 'no'} row{'s' * (count != 1)} to train on ({counts})",
            code="too-few-rows",
            hint="give a table of at least two complete rows",
        )
    if reader.options.holdout and not reader.held_out:
        raise InputError(
            f"a holdout of {reader.options.holdout:g} of {reader.read} rows holds out none",
            code="bad-option",
            hint="give a larger fraction",
        )
    return merged, kept if keep_all or blocks == 1 else None


def _check_targets(moments: Moments, columns: Columns) -> None:
    d = len(columns.features)
    for j, name in enumerate(columns.targets, d):
        if moments.minimum[j] == moments.maximum[j]:
            raise InputError(
                f"the target {name!r} is {moments.minimum[j]:g} in every row: there is nothing "
                "to learn",
                code="constant-target",
                hint="choose another target",
            )


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

    def enough(by_weights: Tensor, by_bias: Tensor, value: float) -> bool:
        if not options.tolerance:
            return False
        return coordinates.gap(by_weights, by_bias) <= options.tolerance * max(
            value, problem.resolution
        )

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
    refusal = diverged(coordinates, history, rate, names)
    if refusal is not None:
        raise refusal
    tolerance = options.tolerance or CONVERGED
    optimality = measure_optimality(
        loss,
        coordinates,
        weights,
        bias,
        learning_rate=rate,
        tolerance=tolerance,
        resolution=max(loss.resolution, problem.resolution),
    )
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
        warnings=_warnings(columns, problem, None if converged else optimality, reader),
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
        training: list[Metrics] | None = metrics_from_moments(moments, W, b, problem.resolution)
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


def _warnings(
    columns: Columns, problem: Problem, unfinished: Optimality | None, reader: RowReader
) -> list[str]:
    def named(places: list[int]) -> str:
        names = [repr(columns.features[j]) for j in places]
        return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")

    found = []
    if columns.left_out:
        names = ", ".join(map(repr, columns.left_out))
        found.append(f"left out, since they hold no numbers: {names}")
    if reader.dropped:
        found.append(f"{reader.dropped} of {reader.read} rows dropped for missing values")
    if problem.constant:
        found.append(f"constant, so their weight is 0: {named(problem.constant)}")
    if problem.dependent:
        found.append(
            "linearly dependent on earlier features (or more than the rows can tell apart), so "
            f"their weight is 0: {named(problem.dependent)}"
        )
    if unfinished is not None:
        go = unfinished.epochs_to_go
        further = "it can't get there at this rate" if go is None else f"about {go:,} more epochs"
        found.append(
            f"stopped before the optimum: the loss is {unfinished.loss:.4g}, "
            f"{unfinished.gap:.4g} above its least value (RMSE at the optimum "
            f"{unfinished.rmse_at_optimum:.4f}); gradient norm {unfinished.gradient_norm:.3g}; "
            f"{further}, or --preconditioning whiten"
        )
    return found

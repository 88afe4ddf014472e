"""Run the training of scikit-learn's estimator, on a matrix or on a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from gradline.columns.matrix import column_labels
from gradline_trainer.estimating.frames import table_of_frame, without_terms
from gradline_trainer.options import MAX_CATEGORIES, Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.arrays import table_of_arrays
from gradline_trainer.rows.columns import TrainingTable
from gradline_trainer.rows.passes import silent
from gradline_trainer.rows.refusals import nothing_varies
from gradline_trainer.run import Run
from gradline_trainer.terms.deciding import Asked
from gradline_trainer.terms.request import request_of


def target_names(given: Any, y: NDArray[Any], names: Sequence[str]) -> list[str]:
    """Name the targets y (n,) or (n, k): by their labels, else y0, y1, …; never as X's columns."""
    labels = column_labels(given) or [getattr(given, "name", None)]
    usable = all(isinstance(label, str) and label for label in labels)
    if not usable or len(set(labels)) < len(labels):
        labels = [f"y{j}" for j in range(y.size // len(y))]
    while not set(names).isdisjoint(labels):
        labels = [f"{label}_" for label in labels]
    return labels


def fit_matrix(
    X: Any,
    y: NDArray[Any],
    names: Sequence[str],
    targets: Sequence[str],
    sample_weight: Any,
    options: Options,
) -> Fit:
    """Learn one weight per column of X (n, d) for y (n,) or (n, k)."""
    table, own, features, weight = table_of_arrays((X, y), targets, names, sample_weight)
    return _run(table, options).as_given(own, features, (), weight, ())


def fit_frame(
    X: Any,
    y: NDArray[Any],
    names: Sequence[str],
    targets: Sequence[str],
    sample_weight: Any,
    terms: Sequence[str] | str | None,
    options: Options,
) -> Fit:
    """Learn the terms of a frame's columns; None takes each column by its kind.

    Warns about categories with one value and columns without values, which give no term.
    """
    table, weight = table_of_frame(X, names, y, targets, sample_weight)
    idle: list[str] = []
    if terms is None:
        idle = without_terms(table, names, options.missing)
        terms = [name for name in names if name not in idle]
        if not terms:
            raise nothing_varies()
    wanted = None if terms == "*" else terms
    request = request_of(table, targets, wanted, (), weight, (), Asked(), options)
    fit = _run(table, options).by_default(request)
    if not idle:
        return fit
    warning = f"left out, because they have one value or none: {', '.join(map(repr, idle))}"
    return replace(fit, warnings=[warning, *fit.warnings])


def _run(table: TrainingTable, options: Options) -> Run:
    """Set up a run that learns the mean if nothing else can be learned, as scikit-learn does."""
    return Run(table, options, silent, None, False, MAX_CATEGORIES, (), refuse_trivial=False)

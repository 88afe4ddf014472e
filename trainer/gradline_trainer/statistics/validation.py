"""R² of five-fold cross-validation, to compare with the R² of the training rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradline.formatting import count
from gradline_trainer.descent.cross_validation import cross_validated
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.statistics.metrics import Metrics

FAR = 0.1  # below the R² of the training rows
FEW = 2.5  # rows for each coefficient; with fewer, none is predicted out of fold


def overfitting(
    metrics: Mapping[str, Mapping[str, Metrics] | None],
    moments: Moments | ColumnMoments,
    columns: Columns,
    options: Options,
) -> list[str]:
    """Warn if rows that the model has not seen are, or may be, predicted much worse."""
    if options.ridge:
        return []
    training, validated = metrics["training"] or {}, metrics.get("cross_validated") or {}
    coefficients = len(columns.features) + options.bias
    if not validated and moments.rows < FEW * coefficients:
        return [
            f"{count(moments.rows, 'row')} for {count(coefficients, 'coefficient')}: the model may "
            "follow chance, and predict other rows worse; --ridge auto may help"
        ]
    return [
        f"rows that the model has not seen are predicted worse: the 5-fold R² of {name!r} is "
        f"{unseen:.3f}, and {seen:.3f} on the training rows; --ridge auto may help"
        for target, name in zip(columns.targets, columns.learned, strict=True)
        if target in validated
        and (seen := training[target].r2_learned) is not None
        and (unseen := validated[target].r2_learned) is not None
        and seen - unseen >= FAR
    ]


def validate(
    moments: Moments | ColumnMoments, folds: list[Moments], columns: Columns, options: Options
) -> dict[str, dict[str, Metrics] | None]:
    """Measure the predictions of folds by the other folds; empty without folds.

    Those of a logged target are about its logarithm alone.
    """
    if isinstance(moments, ColumnMoments) or not folds:
        return {}
    d = len(columns.features)
    penalty = float(options.ridge)
    squared = cross_validated(moments, folds, d, penalty=penalty, bias=options.bias)
    if squared is None:
        return {}
    variance = moments.squares[d:] / moments.weight
    functions = columns.functions or (None,) * len(columns.targets)
    found = {}
    for j, (target, function) in enumerate(zip(columns.targets, functions, strict=True)):
        rmse, r2 = float(np.sqrt(squared[j])), float(1 - squared[j] / variance[j])
        of_logarithm = Metrics(None, None, None, rmse, r2)
        found[target] = Metrics(rmse, None, r2) if function is None else of_logarithm
    return {"cross_validated": found}

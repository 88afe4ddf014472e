"""R² of five-fold cross-validation, to compare with the R² of the training rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradline.formatting import count
from gradline_trainer.descent.cross_validation import cross_validated
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.statistics.measuring import Metrics

FAR = 0.1  # below the R² of the training rows
FEW = 2.5  # rows for each coefficient; with fewer, none is predicted out of fold


def overfitting(
    metrics: Mapping[str, Mapping[str, Metrics] | None],
    moments: Moments | ColumnMoments,
    columns: Columns,
    options: Options,
) -> list[str]:
    """Warn if rows that the model has not seen are, or may be, predicted much worse."""
    if options.ridge or not columns.has_format_2:
        return []
    training, validated = metrics["training"] or {}, metrics.get("cross_validated") or {}
    coefficients = len(columns.features) + options.bias
    if not validated and moments.rows < FEW * coefficients:
        return [
            f"{count(moments.rows, 'row')} for {count(coefficients, 'coefficient')}: the model may "
            "follow chance, and predict other rows worse; --ridge auto may help"
        ]
    return [
        f"rows that the model has not seen are predicted worse: the 5-fold R² of {target!r} is "
        f"{own.r2:.3f}, and {r2:.3f} on the training rows; --ridge auto may help"
        for target, own in validated.items()
        if (r2 := training[target].r2) is not None and own.r2 is not None and r2 - own.r2 >= FAR
    ]


def validate(
    moments: Moments | ColumnMoments, folds: list[Moments], columns: Columns, options: Options
) -> dict[str, dict[str, Metrics] | None]:
    """Measure the predictions of folds by the other folds; empty without folds."""
    if isinstance(moments, ColumnMoments) or not folds or not columns.has_format_2:
        return {}
    d = len(columns.features)
    penalty = float(options.ridge)
    squared = cross_validated(moments, folds, d, penalty=penalty, bias=options.bias)
    if squared is None:
        return {}
    variance = moments.squares[d:] / moments.weight
    return {
        "cross_validated": {
            target: Metrics(float(np.sqrt(error)), None, float(1 - error / spread))
            for target, error, spread in zip(columns.targets, squared, variance, strict=True)
        }
    }

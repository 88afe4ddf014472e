"""The R² of five-fold cross-validation, which stands beside that of the training rows."""

from __future__ import annotations

import numpy as np

from gradline_trainer.descent.cross_validation import cross_validated
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.statistics.measuring import Metrics


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

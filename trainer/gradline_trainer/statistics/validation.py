"""The R² of five-fold cross-validation, which stands beside that of the training rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradline_trainer.descent.cross_validation import cross_validated
from gradline_trainer.moments.moments import ColumnMoments, Moments
from gradline_trainer.options import Options
from gradline_trainer.rows.columns import Columns
from gradline_trainer.statistics.measuring import Metrics

FAR = 0.1  # below the R² of the training rows


def overfitting(metrics: Mapping[str, Mapping[str, Metrics] | None], options: Options) -> list[str]:
    """Warn of targets whose cross-validated R² is far below that of the training rows."""
    training, validated = metrics["training"] or {}, metrics.get("cross_validated") or {}
    found = []
    for target, own in validated.items():
        r2 = training[target].r2
        if r2 is not None and own.r2 is not None and r2 - own.r2 >= FAR and not options.ridge:
            found.append(
                f"rows that the model has not seen are predicted worse: for {target!r} the "
                f"5-fold R² is {own.r2:.3f}, that of the training rows {r2:.3f}; --ridge auto may "
                "help"
            )
    return found


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

"""The least-squares problem of a wide table, from the moments of its columns."""

from __future__ import annotations

import numpy as np
import torch

from gradline_trainer.descent.problem import ColumnProblem
from gradline_trainer.moments.moments import ColumnMoments, one_value
from gradline_trainer.options import Options


def state_column_problem(moments: ColumnMoments, features: int, options: Options) -> ColumnProblem:
    """State what the moments of the single columns [features, targets] tell of the problem.

    Args:
        moments: Of p = d + k columns.
        features: d.
        options: For the bias and the ridge penalty, a number.
    """
    d, penalty = features, float(options.ridge) / moments.weight
    mean, second = moments.mean * options.bias, moments.squares / moments.weight
    if not options.bias:
        second = second + moments.mean**2
    left_out = one_value(moments)[:d] & options.bias | (second[:d] == 0)
    active = np.flatnonzero(~left_out)
    return ColumnProblem(
        active=torch.from_numpy(active),
        constant=np.flatnonzero(left_out).tolist(),
        weight=moments.weight,
        centre=torch.from_numpy(mean[active]),
        power=torch.from_numpy(second[d:]),
        penalty=penalty,
        scale=torch.from_numpy(np.sqrt(second[active] + penalty)),
        bias=options.bias,
    )

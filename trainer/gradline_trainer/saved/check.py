"""Check that a table with given moments can exist, after reading a file or subtracting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradline_trainer.descent.problem import cholesky
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.library_state import one_thread_each

ROUNDING = 2.0**-40  # relative, of a co-moment: far more than any sum over blocks has


def check_moments(saved: SavedMoments) -> None:
    """Raise ValueError unless moments are finite, in range and semidefinite within rounding."""
    names = [*saved.columns.features, *saved.columns.targets]
    for moments in (saved.moments, *saved.folds):
        if fault := _fault(moments, names, weighted=saved.columns.weight is not None):
            raise ValueError(fault)
    left = saved.rows_read - saved.rows_dropped - saved.rows_held_out
    if saved.moments.rows > left:
        raise ValueError(f"{saved.moments.rows} training rows, of {left}")
    if saved.folds and sum(fold.rows for fold in saved.folds) != saved.moments.rows:
        raise ValueError("the folds' rows do not add up")
    if len(saved.folds) == 1:
        raise ValueError("a single fold")


def _fault(m: Moments, names: list[str], *, weighted: bool) -> str | None:
    if m.rows < 1 or not 0 < m.weight < np.inf or (not weighted and m.weight != m.rows):
        return f"{m.rows} rows of total weight {m.weight:g}"
    ranges = [] if np.isnan(m.minimum).all() else [m.minimum, m.maximum]
    for what, found in zip(
        ("mean", "mean", "co-moment", "range", "range"),
        (m.mean, m.mean_rest, m.comoment, *ranges),
        strict=False,
    ):
        if not np.isfinite(found).all():
            j = int(np.argwhere(~np.isfinite(found))[0][0])
            return f"a {what} of {names[j]!r} is not finite"
    if (m.squares < 0).any():
        return f"the variance of {names[int(np.argmin(m.squares))]!r} is negative"
    far = ~(m.minimum <= m.maximum) if ranges else np.zeros(len(names), np.bool_)
    if far.any():
        return f"the range of {names[int(np.argmax(far))]!r} is empty"
    if not is_semidefinite(m):
        return "the co-moments are not positive semidefinite"
    return None


@one_thread_each()
def is_semidefinite(moments: Moments) -> bool:
    """Check that the co-moments are positive semidefinite within their rounding.

    Cholesky factorization of the matrix, scaled to a unit diagonal with a little added, decides. A
    column without variance is left out: its products may not be 0 though its squares underflow.
    """
    varies = np.flatnonzero(moments.squares > 0)
    deviation = np.sqrt(moments.squares[varies])
    scaled: NDArray[np.float64] = moments.comoment[np.ix_(varies, varies)]
    with np.errstate(over="ignore"):
        scaled = scaled / deviation / deviation[:, None]
    if not np.isfinite(scaled).all():
        return False
    np.fill_diagonal(scaled, 1 + len(varies) * (ROUNDING + moments.rounding))
    return cholesky(scaled) is not None

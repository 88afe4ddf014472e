"""Training on categories of many levels: `fit` against libraries that keep them sparse.

A million rows, two categories of 1,000 and 50 levels, ten numbers and one target, in a pandas frame
whose categories are coded. Each call starts from the frame. A time counts only if the weights of
the numbers agree with gradline's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, compare
from benchmarks.measure import time_calls
from benchmarks.synthetic import Array

__all__ = ["run"]

ROWS, QUICK_ROWS = 1_000_000, 20_000
LEVELS = {"store": 1_000, "region": 50}
NUMBERS = [f"x{i}" for i in range(10)]
TURNS, QUICK_TURNS = 5, 1
AGREED = 1e-4  # of the largest weight; Ridge stops early on a sparse matrix
Job = Callable[[], Array]  # returns the weights of the numbers, shape (10,)


def run(quick: bool) -> list[Comparison]:
    """Compare whole calls, from the frame to the weights."""
    rows = QUICK_ROWS if quick else ROWS
    what = f'fit(frame, "y"): {rows:,} rows, categories of 1,000 and 50 levels, 10 numbers'
    frame, expected = _draw(rows)
    jobs: dict[str, Job] = {what: _fit(frame)} | {name: job(frame) for name, job in PEERS.items()}
    for name, job in jobs.items():
        assert np.abs(job() - expected).max() < AGREED * np.abs(expected).max(), name
    samples = time_calls(jobs, QUICK_TURNS if quick else TURNS)
    return [compare(samples, what, name, goal=1.0) for name in PEERS]


def _draw(rows: int) -> tuple[Any, Array]:
    """Draw a frame, and learn the weights of its numbers."""
    import pandas as pd

    rng = np.random.default_rng(3)
    x = rng.standard_normal((rows, len(NUMBERS)))
    y = x @ rng.standard_normal(len(NUMBERS)) + rng.standard_normal(rows) / 2
    columns: dict[str, Any] = dict(zip(NUMBERS, x.T, strict=True))
    for name, count in LEVELS.items():
        codes = rng.integers(0, count, rows)
        y += rng.standard_normal(count)[codes]
        columns[name] = pd.Categorical.from_codes(codes, [f"{name} {i}" for i in range(count)])
    frame = pd.DataFrame(columns | {"y": y})
    return frame, _fit(frame)()


def _fit(frame: Any) -> Job:
    from gradline_trainer import fit

    def job() -> Array:
        found = fit(frame, "y")
        return found.weights[0, [found.features.index(name) for name in NUMBERS]].numpy()

    return job


def _sparse_ridge(frame: Any) -> Job:
    """Prepare scikit-learn's Ridge on a sparse one-hot matrix."""
    from scipy import sparse
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import OneHotEncoder

    def job() -> Array:
        indicators = OneHotEncoder(drop="first").fit_transform(frame[list(LEVELS)])
        x = sparse.hstack([sparse.csr_matrix(frame[NUMBERS].to_numpy()), indicators]).tocsr()
        found = Ridge(alpha=1e-8).fit(x, frame["y"].to_numpy())
        return np.asarray(found.coef_)[: len(NUMBERS)]

    return job


def _glum(frame: Any) -> Job:
    """Prepare glum, which keeps categories as tabmat's codes."""
    from glum import GeneralizedLinearRegressor  # type: ignore[import-untyped]

    x = frame.drop(columns="y")

    def job() -> Array:
        model = GeneralizedLinearRegressor(family="normal", alpha=0, drop_first=True)
        return np.asarray(model.fit(x, frame["y"]).coef_)[: len(NUMBERS)]

    return job


def _pyfixest(frame: Any) -> Job:
    """Prepare pyfixest, which absorbs the categories: it learns no weight for a level."""
    import pyfixest  # type: ignore[import-untyped]

    formula = f"y ~ {' + '.join(NUMBERS)} | {' + '.join(LEVELS)}"
    return lambda: np.asarray(pyfixest.feols(formula, frame).coef())


PEERS: dict[str, Callable[[Any], Job]] = {
    "Ridge, sparse": _sparse_ridge,
    "glum with tabmat": _glum,
    "pyfixest, absorbed": _pyfixest,
}

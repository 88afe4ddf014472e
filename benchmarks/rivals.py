"""Other libraries that fit y = x @ W.T + b, each in its fastest documented way.

A rival is a function of X (n, d) and Y (n, k), NumPy arrays of one dtype. Its whole call is timed,
including what its user would have to make (a column of ones, its model). Only a polars frame is
built before the clock starts, because users of polars_ds already have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.synthetic import Array, Solution

__all__ = ["ITERATIVE", "RIVALS", "Job"]

Job = Callable[[], Solution]
EPOCHS = 100  # the tutorial's


def linear_regression(X: Array, Y: Array) -> Job:
    """Prepare scikit-learn's LinearRegression, which takes all targets at once."""
    from sklearn.linear_model import LinearRegression

    return lambda: _learned(LinearRegression().fit(X, Y))


def ridge_cholesky(X: Array, Y: Array) -> Job:
    """Prepare scikit-learn's Ridge by Cholesky; alpha 0 gives it the same objective."""
    from sklearn.linear_model import Ridge

    return lambda: _learned(Ridge(alpha=0.0, solver="cholesky").fit(X, Y))


def onedal(X: Array, Y: Array) -> Job:
    """Prepare oneDAL's LinearRegression, imported so that scikit-learn itself stays as it is."""
    from sklearnex.linear_model import LinearRegression  # type: ignore[import-untyped]

    return lambda: _learned(LinearRegression().fit(X, Y))


def numpy_by_hand(X: Array, Y: Array) -> Job:
    """Prepare the normal equations of centered columns, as one writes them with numpy."""

    def job() -> Solution:
        x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
        centered = X - x_mean
        W = np.linalg.solve(centered.T @ centered, centered.T @ (Y - y_mean)).T
        return W, y_mean - W @ x_mean

    return job


def numpy_lstsq(X: Array, Y: Array) -> Job:
    """Prepare numpy's lstsq on X with a column of ones."""
    return lambda: _split(np.linalg.lstsq(_with_ones(X), Y)[0])


def torch_lstsq(X: Array, Y: Array) -> Job:
    """Prepare PyTorch's lstsq by QR, its fastest driver, on X with a column of ones."""
    import torch

    def job() -> Solution:
        columns, targets = torch.from_numpy(_with_ones(X)), torch.from_numpy(Y)
        return _split(torch.linalg.lstsq(columns, targets, driver="gels").solution.numpy())

    return job


def statsmodels_ols(X: Array, Y: Array) -> Job:
    """Prepare statsmodels' OLS, which factors once for all targets."""
    import statsmodels.api as sm  # type: ignore[import-untyped]

    return lambda: _split(np.asarray(sm.OLS(Y, sm.add_constant(X, prepend=False)).fit().params))


def polars_ds(X: Array, Y: Array) -> Job:
    """Prepare polars_ds by Cholesky, its fastest way, all targets at once, in the data's dtype."""
    import polars as pl
    import polars_ds as pds  # type: ignore[import-untyped]

    pds.config.LIN_REG_EXPR_F64 = X.dtype == np.float64
    features = [f"x{i}" for i in range(X.shape[1])]
    targets = [f"y{i}" for i in range(Y.shape[1])]
    frame = pl.DataFrame(X, schema=features).hstack(pl.DataFrame(Y, schema=targets))
    how = {"add_bias": True, "solver": "cholesky", "singular_x_tol": 0.0}  # none is singular here
    found = pds.lin_reg(*features, target=targets, **how)

    def job() -> Solution:
        answer = frame.select(found.alias("found"))["found"]
        lists = answer.struct.unnest().row(0) if answer.dtype == pl.Struct else [answer[0]]
        return _split(np.array([list(column) for column in lists]).T)

    return job


def tutorial_loop(X: Array, Y: Array) -> Job:
    """Prepare the tutorial's loop, unchanged: tensors, backward, a step by hand."""
    import torch

    def job() -> Solution:
        torch.manual_seed(0)
        x, y = torch.from_numpy(X), torch.from_numpy(Y)
        weights = torch.randn(Y.shape[1], X.shape[1], dtype=x.dtype, requires_grad=True)
        biases = torch.rand(Y.shape[1], dtype=x.dtype, requires_grad=True)
        for _ in range(EPOCHS):
            errors = x @ weights.t() + biases - y
            loss = torch.sum(errors * errors) / errors.numel()
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in (weights, biases):
                    assert parameter.grad is not None
                    parameter -= _step(Y) * parameter.grad
                    parameter.grad.zero_()
        return weights.detach().numpy(), biases.detach().numpy()

    return job


def _step(Y: Array) -> float:
    """Choose k/4, half of 1/λmax on standard normal features, so 100 epochs converge."""
    return len(Y.T) / 4


def _learned(model: Any) -> Solution:
    return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)


def _with_ones(X: Array) -> Array:
    return np.column_stack([X, np.ones(len(X), X.dtype)])


def _split(columns: Array) -> Solution:
    return columns[:-1].T, columns[-1]


RIVALS: dict[str, Callable[[Array, Array], Job]] = {
    "LinearRegression": linear_regression,
    "Ridge(cholesky)": ridge_cholesky,
    "oneDAL": onedal,
    "NumPy by hand": numpy_by_hand,
    "polars_ds": polars_ds,
    "torch lstsq": torch_lstsq,
    "numpy lstsq": numpy_lstsq,
    "statsmodels OLS": statsmodels_ols,
    "the tutorial's loop": tutorial_loop,
}
ITERATIVE = ("the tutorial's loop",)

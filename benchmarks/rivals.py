"""Other libraries that fit y = x @ W.T + b, each in its fastest documented way.

A rival is a function of X (n, d) and Y (n, k), NumPy arrays of one dtype. Its whole call is timed,
including what its user would have to make (a column of ones, its model). Only a polars frame is
built before the clock starts, because users of polars-ols already have one.
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


def sgd_regressor(X: Array, Y: Array) -> Job:
    """Prepare scikit-learn's SGDRegressor, defaults but no penalty, a target at a time."""
    from sklearn.linear_model import SGDRegressor

    return lambda: _one_by_one(
        lambda y: _learned(SGDRegressor(penalty=None, random_state=0).fit(X, y)), Y
    )


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


def glum_least_squares(X: Array, Y: Array) -> Job:
    """Prepare glum's normal regression without a penalty, a target at a time."""
    from glum import GeneralizedLinearRegressor  # type: ignore[import-untyped]

    return lambda: _one_by_one(
        lambda y: _learned(GeneralizedLinearRegressor(family="normal", alpha=0).fit(X, y)), Y
    )


def polars_least_squares(X: Array, Y: Array) -> Job:
    """Prepare polars-ols by Cholesky, its fastest way; targets run in parallel."""
    import polars as pl
    import polars_ols  # type: ignore[import-untyped]  # noqa: F401  adds Expr.least_squares

    features = [f"x{i}" for i in range(X.shape[1])]
    targets = [f"y{i}" for i in range(Y.shape[1])]
    frame = pl.DataFrame(X, schema=features).hstack(pl.DataFrame(Y, schema=targets))
    how = {"mode": "coefficients", "add_intercept": True, "solve_method": "chol"}
    jobs = [pl.col(y).least_squares.ols(*features, **how).alias(y) for y in targets]  # type: ignore[attr-defined]

    def job() -> Solution:
        row = frame.select(jobs).row(0)
        return _split(np.array([list(found.values()) for found in row]).T)

    return job


def linear_and_sgd(X: Array, Y: Array) -> Job:
    """Prepare torch.nn.Linear under torch.optim.SGD, over all rows in each epoch."""
    import torch

    def job() -> Solution:
        torch.manual_seed(0)
        x, y = torch.from_numpy(X), torch.from_numpy(Y)
        model = torch.nn.Linear(X.shape[1], Y.shape[1], dtype=x.dtype)
        optimizer = torch.optim.SGD(model.parameters(), lr=_step(Y))
        for _ in range(EPOCHS):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return model.weight.detach().numpy(), model.bias.detach().numpy()

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


def _one_by_one(solve: Callable[[Array], Solution], Y: Array) -> Solution:
    weights, biases = zip(*(solve(np.ascontiguousarray(y)) for y in Y.T), strict=True)
    return np.concatenate(weights), np.concatenate(biases)


def _with_ones(X: Array) -> Array:
    return np.column_stack([X, np.ones(len(X), X.dtype)])


def _split(columns: Array) -> Solution:
    return columns[:-1].T, columns[-1]


RIVALS: dict[str, Callable[[Array, Array], Job]] = {
    "LinearRegression": linear_regression,
    "Ridge(cholesky)": ridge_cholesky,
    "SGDRegressor": sgd_regressor,
    "numpy lstsq": numpy_lstsq,
    "torch lstsq": torch_lstsq,
    "statsmodels OLS": statsmodels_ols,
    "glum": glum_least_squares,
    "polars-ols": polars_least_squares,
    "nn.Linear + optim.SGD": linear_and_sgd,
    "the tutorial's loop": tutorial_loop,
}
ITERATIVE = ("SGDRegressor", "nn.Linear + optim.SGD", "the tutorial's loop")

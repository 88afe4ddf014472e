"""Wrap fit() as a scikit-learn estimator that can export its package."""

from __future__ import annotations

from importlib.metadata import entry_points
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Self
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gradline.columns.matrix import column_labels, from_tensor
from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import GradlineWarning, InputError
from gradline_trainer.learning import learn
from gradline_trainer.options import Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.arrays import table_of_arrays
from gradline_trainer.rows.columns import choose_columns
from gradline_trainer.rows.library_state import known_state
from gradline_trainer.rows.passes import Walk, silent
from gradline_trainer.rows.rows import RowReader

SHARED = (  # options with the same name here
    "learning_rate", "epochs", "tolerance", "preconditioning", "gradient", "arithmetic", "ridge",
    "folds", "dtype", "dependent",
)  # fmt: skip


class LinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares by gradient descent, with scikit-learn's interface.

    The solution is the one of `sklearn.linear_model.LinearRegression`, or of `Ridge` with a
    penalty. A single row, a constant target or constant features, which `fit()` refuses, give W = 0
    and b the mean, as in scikit-learn.

    Args:
        learning_rate: A positive number, or "auto" for 1/λmax of the loss's Hessian.
        epochs: Most steps to take.
        tolerance: Stop when the bound on the loss gap is below tolerance · loss.
        preconditioning: Coordinates of the loop: "none", "standardize" or "whiten".
        gradient: Compute gradients from "rows" or "moments", or "auto".
        arithmetic: "fast", "exact" or "auto".
        ridge: Penalty on the weights, the `alpha` of scikit-learn's Ridge; "auto" chooses it by
            cross-validation.
        folds: Folds of that cross-validation; None means 5.
        fit_intercept: Whether to learn a bias.
        dtype: Type of the exported graph: "float32", "float64" or "auto".
        dependent: Weights of linearly dependent features: "minimum-norm" or "drop".
        random_state: Seed of the folds, and of the first weights with preconditioning "none".

    Attributes:
        coef_: W, shape (d,) for y of shape (n,), (k, d) for y of shape (n, k); float64.
        intercept_: b, a float64 or shape (k,).
        n_iter_: Epochs that the loop ran.
        n_features_in_: d.
        feature_names_in_: The names of X's columns, shape (d,), if all are strings.
        fit_: The `Fit`: history, metrics, optimality, warnings.
    """

    def __init__(
        self,
        *,
        learning_rate: float | Literal["auto"] = Options.learning_rate,
        epochs: int = Options.epochs,
        tolerance: float = Options.tolerance,
        preconditioning: Literal["none", "standardize", "whiten"] = Options.preconditioning,
        gradient: Literal["auto", "rows", "moments"] = Options.gradient,
        arithmetic: Literal["auto", "fast", "exact"] = Options.arithmetic,
        ridge: float | Literal["auto"] = Options.ridge,
        folds: int | None = Options.folds,
        fit_intercept: bool = True,
        dtype: Literal["auto", "float32", "float64"] = Options.dtype,
        dependent: Literal["minimum-norm", "drop"] = Options.dependent,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.tolerance = tolerance
        self.preconditioning = preconditioning
        self.gradient = gradient
        self.arithmetic = arithmetic
        self.ridge = ridge
        self.folds = folds
        self.fit_intercept = fit_intercept
        self.dtype = dtype
        self.dependent = dependent
        self.random_state = random_state

    @known_state()
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | float | None = None) -> Self:
        """Fit the estimator to X (n, d) and y (n,) or (n, k).

        Each warning in `fit_.warnings` is also issued as a `gradline.GradlineWarning`.

        Args:
            X: Numbers, without missing values. A SciPy sparse matrix is converted to dense
                blocks of 32 MB, or as a whole if `gradient` is "rows" or `preconditioning` "none".
            y: The targets.
            sample_weight: Shape (n,), each at least 0, or one number for all rows.

        Raises:
            InputError: For an option out of range, and for weights that are negative or all 0.
            ValueError: For arrays that scikit-learn's `check_X_y` refuses.
            RefusedError: If the run diverged; the message says why.
        """
        options = self._options()
        targets = _labels(y)
        X, y = from_tensor(X, "X"), from_tensor(y, "y")
        dtypes = [np.float64, np.float32]
        features, wanted = validate_data(
            self, X, y, accept_sparse="csr", dtype=dtypes, multi_output=True, y_numeric=True
        )
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(wanted), float(sample_weight))
        names = [*getattr(self, "feature_names_in_", map("x{}".format, range(features.shape[1])))]
        targets = targets or [f"y{j}" for j in range(wanted.size // len(wanted))]
        while not set(names).isdisjoint(targets):
            targets = [f"{target}_" for target in targets]
        table, targets, names, weight = table_of_arrays(
            (features, wanted), targets, names, sample_weight
        )
        columns = choose_columns(table, targets, names, (), weight, ())
        walk = Walk(RowReader(table, columns, options), silent)
        self.fit_ = learn(walk, options, silent, refuse_trivial=False)
        self._set_fitted(self.fit_, single=wanted.ndim == 1)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _options(self) -> Options:
        given = {name: getattr(self, name) for name in SHARED}  # get_params() takes long
        bias, state = self.fit_intercept, self.random_state
        if not isinstance(bias, bool | np.bool_):
            raise InputError(f"fit_intercept = {bias!r}, expected True or False", code="bad-option")
        if not isinstance(state, Integral) or state < 0:  # the latter raises
            state = check_random_state(state).randint(2**31)
        return Options(**given, bias=bool(bias), seed=int(state), missing="error")

    def _set_fitted(self, found: Fit, *, single: bool) -> None:
        weights, bias = found.weights.numpy(), found.bias.numpy()
        self.coef_ = weights[0] if single else weights
        self.intercept_ = bias[0] if single else bias
        self.n_iter_ = len(found.history)
        if not found.converged:
            gap = found.optimality.gap
            where = "" if gap is None else f", {gap:.3g} above the least loss"
            warn(
                f"stopped after {self.n_iter_} epochs{where}; fit_.warnings says how to get there",
                ConvergenceWarning,
                stacklevel=4,  # the caller of `fit`, outside its decorator
            )
        for warning in found.warnings:
            warn(warning, GradlineWarning, stacklevel=4)

    @numpy_defaults()
    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict X @ coef_.T + intercept_ in float64, shape (n,) or (n, k).

        Raises:
            NotFittedError: Before `fit`.
            ValueError: For arrays that scikit-learn's `check_array` refuses.
        """
        check_is_fitted(self)
        X = from_tensor(X, "X")
        features = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        predictions: NDArray[np.float64] = features @ self.coef_.T + self.intercept_
        return predictions

    def export(self, path: str | Path, *, name: str = "model", **options: Any) -> Path:
        """Export the fitted model as a package; return the path of its new version directory.

        Args:
            path: The folder of packages.
            name: The package's name.
            **options: Passed to `gradline_export.export_package`.

        Raises:
            NotFittedError: Before `fit`.
            InputError: If all rows have the same features: the package would hold them.
            GradlineError: See `export_package`.
        """
        check_is_fitted(self)
        moments = self.fit_.moments
        if (moments.minimum == moments.maximum)[: self.n_features_in_].all():
            raise InputError(
                "every feature has one value only: the package would hold the training rows",
                code="constant-features",
                hint="fit rows that differ",
            )
        # The trainer may not import the export wing, which declares itself in an entry point.
        (wing,) = entry_points(group="gradline", name="export")
        published: Path = wing.load()(self.fit_, path, name, **options)
        return published


def _labels(y: Any) -> list[str] | None:
    """Get the names of a data frame's columns or of a series; None without usable names."""
    labels = column_labels(y) or [getattr(y, "name", None)]
    usable = all(isinstance(label, str) and label for label in labels)
    return labels if usable and len(set(labels)) == len(labels) else None

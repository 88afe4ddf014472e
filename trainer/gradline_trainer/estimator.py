"""Wrap fit() as a scikit-learn estimator that can export its package."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gradline.columns.matrix import from_tensor
from gradline.columns.numpy_state import numpy_defaults
from gradline.errors import InputError
from gradline.tracebacks import short_tracebacks, warn_caller
from gradline_trainer.estimating.frames import gaps_told, has_terms, missing_value, read_frame
from gradline_trainer.estimating.runs import fit_frame, fit_matrix, target_names
from gradline_trainer.estimating.surroundings import surroundings_of
from gradline_trainer.higher import from_export
from gradline_trainer.options import Options
from gradline_trainer.result import Fit
from gradline_trainer.rows.library_state import known_state

SHARED = (  # options with the same name here
    "learning_rate", "epochs", "tolerance", "preconditioning", "gradient", "arithmetic", "ridge",
    "folds", "dtype", "dependent", "missing",
)  # fmt: skip


class LinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares by gradient descent, with scikit-learn's interface.

    The solution is the one of `sklearn.linear_model.LinearRegression`, or of `Ridge` with a
    penalty. A single row, a constant target or constant features, which `fit()` refuses, give W = 0
    and b the mean, as in scikit-learn.

    Without `terms`, each column of numbers has one weight, as in scikit-learn: nothing is left out,
    and a missing value is an error. In a frame (pandas, polars or pyarrow) that also has text,
    categories, booleans or times, these become terms by their kinds, as `-f NAME` takes them.

    Args:
        terms: The terms to predict from, as `fit` takes them, such as ["price", "log(size)",
            "size:region"], or "*" for the default terms; X must be a frame then. None takes each
            column.
        missing: If a value of X is missing: "mean" fills numbers with their mean, "drop" leaves the
            row out and predicts NaN, "error" stops. "auto" is "error" if all columns are numbers
            and `terms` is None; else it fills numbers, adds a term for what was missing, and makes
            a category's missing value a level.
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
        term_names_: The d names of the weights: the columns', or those of the terms.
        n_features_in_: How many columns X has.
        feature_names_in_: The names of X's columns, if all are strings.
        fit_: The `Fit`: history, metrics, optimality, warnings.
        surroundings_: The fitted steps before the estimator if it was fitted in a Pipeline, and
            what transforms its target.
    """

    def __init__(
        self,
        *,
        terms: Sequence[str] | str | None = None,
        missing: Literal["auto", "drop", "mean", "error"] = Options.missing,
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
        self.terms = terms
        self.missing = missing
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

    @short_tracebacks
    @known_state()
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | float | None = None) -> Self:
        """Fit the estimator to X, a matrix or a frame of n rows, and y (n,) or (n, k).

        Each warning in `fit_.warnings` is also issued as a `gradline.GradlineWarning`.

        Args:
            X: Numbers, shape (n, d), or a frame of pandas, polars or pyarrow. A SciPy sparse matrix
                is converted to dense blocks of 32 MB, or as a whole if `gradient` is "rows" or
                `preconditioning` "none".
            y: The targets, without missing values.
            sample_weight: Shape (n,), each at least 0, or one number for all rows.

        Raises:
            InputError: For an option out of range, a term that does not fit X, a column that cannot
                be read, and for weights that are negative or all 0.
            ValueError: For arrays that scikit-learn's `check_X_y` refuses.
            RefusedError: If the run diverged; the message says why.
        """
        options = self._options()
        X, given = from_tensor(X, "X"), from_tensor(y, "y")
        self.surroundings_ = surroundings_of(self)
        self._has_terms = has_terms(X, self.terms)
        check = self._checked_frame if self._has_terms else self._checked_matrix
        features, wanted = check(X, given)
        names = self._names()
        targets = target_names(y, wanted, names)
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(wanted), float(sample_weight))
        roles = (features, wanted, names, targets, sample_weight)
        if self._has_terms:
            self.fit_ = fit_frame(*roles, self.terms, options)
        else:
            self.fit_ = fit_matrix(*roles, options)
        self._set_fitted(self.fit_, single=wanted.ndim == 1)
        return self

    def _checked_frame(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        wanted = validate_data(self, "no_validation", y, multi_output=True, y_numeric=True)
        validate_data(self, X, y, skip_check_array=True)  # sets the names, so it comes last
        check_consistent_length(X, wanted)
        return X, wanted

    def _checked_matrix(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        features, wanted = self._validated(
            X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True
        )
        return features, wanted

    def _validated(self, X: Any, *y: Any, **checks: Any) -> Any:
        """Have scikit-learn check a matrix; name the column of a missing value."""
        finite = "allow-nan" if self.missing in ("drop", "mean") else True
        try:
            return validate_data(
                self, X, *y, accept_sparse="csr", ensure_all_finite=finite, **checks
            )
        except ValueError as error:
            if "Input X contains NaN" not in str(error):
                raise
            raise missing_value(X, getattr(self, "feature_names_in_", None)) from None

    def _names(self) -> list[str]:
        """Name X's columns, after they were checked."""
        return [*getattr(self, "feature_names_in_", map("x{}".format, range(self.n_features_in_)))]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing in ("drop", "mean")
        return tags

    def _options(self) -> Options:
        given = {name: getattr(self, name) for name in SHARED}  # get_params() takes long
        bias, state = self.fit_intercept, self.random_state
        if not isinstance(bias, bool | np.bool_):
            raise InputError(f"fit_intercept = {bias!r}, expected True or False", code="bad-option")
        if not isinstance(state, Integral) or state < 0:  # the latter raises
            state = check_random_state(state).randint(2**31)
        return Options(**given, bias=bool(bias), seed=int(state))

    def _set_fitted(self, found: Fit, *, single: bool) -> None:
        weights, bias = found.weights.numpy(), found.bias.numpy()
        self.term_names_ = found.features
        self.coef_ = weights[0] if single else weights
        self.intercept_ = bias[0] if single else bias
        self.n_iter_ = len(found.history)
        if not found.converged:
            gap = found.optimality.gap
            where = "" if gap is None else f", {gap:.3g} above the least loss"
            text = (
                f"stopped after {self.n_iter_} epochs{where}; fit_.warnings says how to get there"
            )
            warn_caller([text], ConvergenceWarning)
        warn_caller(found.warnings)

    @short_tracebacks
    @numpy_defaults()
    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict in float64, shape (n,) or (n, k): the terms of X @ coef_.T + intercept_.

        An answer is NaN for a category that no training row had, and for a value that is missing
        and has no fill; a `gradline.GradlineWarning` counts them.

        Raises:
            NotFittedError: Before `fit`.
            InputError: For a value that a column cannot have.
            ValueError: For arrays that scikit-learn's `check_array` refuses.
        """
        check_is_fitted(self)
        X, plan = from_tensor(X, "X"), self.fit_.columns.plan
        if self._has_terms:
            validate_data(self, X, reset=False, skip_check_array=True)
            values, features = read_frame(X, self._names(), plan)
        else:
            features = self._validated(X, dtype=np.float64, reset=False)
            if any(column.fill is not None for column in plan.columns):
                features = features if isinstance(features, np.ndarray) else features.toarray()
                features = plan.compute(features)
            values = features
        predictions: NDArray[np.float64] = features @ self.coef_.T + self.intercept_
        unanswered = np.isnan(predictions.reshape(len(predictions), -1)).any(axis=1)
        if unanswered.any():
            warn_caller([gaps_told(values, plan, unanswered)])
        return predictions

    @short_tracebacks
    def export(self, root: str | Path = "artifacts", name: str = "model", **options: Any) -> Path:
        """Export the fitted model as a package; return the path of its new version directory.

        The steps before it in a Pipeline are taken in, if they are scalers, encoders, imputers or
        products (see docs/training.md); the package predicts from the columns of the first.

        Args:
            root: The folder of packages.
            name: The package's name.
            **options: Passed to `gradline_export.export_package`.

        Raises:
            NotFittedError: Before `fit`.
            InputError: If all rows have the same features: the package would hold them. Also for
                a step before the estimator that a package cannot take in, naming it, and for a
                transformed target ("pipeline-steps").
            GradlineError: See `export_package`.
        """
        check_is_fitted(self)
        moments = self.fit_.moments
        if (moments.minimum == moments.maximum)[: len(self.term_names_)].all():
            raise InputError(
                "every feature has one value only: the package would hold the training rows",
                code="constant-features",
                hint="fit rows that differ",
            )
        pipeline = self.surroundings_.pipeline(self)
        if pipeline is not None:
            options |= {"targets": self.fit_.targets, "dtype": self.dtype}
        published: Path = from_export("export")(pipeline or self.fit_, root, name, **options)
        return published

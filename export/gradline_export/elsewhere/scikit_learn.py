"""Read fitted linear models of scikit-learn; the library itself is not imported."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np

from gradline.errors import InputError
from gradline_export.elsewhere.learned import Array, Learned, host_of

CHOSEN = ("alpha_", "l1_ratio_")  # by cross-validation
LONGEST = 200  # letters of a parameter


def linear_model(model: Any, targets: Sequence[str] | None) -> Learned:
    """Read coef_ and intercept_, and the names of the features if the model knows them."""
    check_fitted(model)
    coefficients = model.coef_
    if hasattr(coefficients, "toarray"):  # after sparsify()
        coefficients = coefficients.toarray()
    weights = np.atleast_2d(coefficients)
    features = feature_names(model) or [f"x{j}" for j in range(weights.shape[1])]
    return Learned.of_numbers(
        weights,
        np.resize(model.intercept_, len(weights)),
        features,
        target_names(targets, len(weights), features),
        made_by=made_by(model),
        predict=answers_of(model, len(weights)),
    )


def pipeline(model: Any, targets: Sequence[str] | None) -> Learned:
    """Fold the steps of a pipeline into the terms of its last step, a linear model."""
    from gradline_export.elsewhere.pipelines import fold

    *steps, (name, last) = model.steps
    if not _is_linear(last):
        raise InputError(
            f"the last step {name!r} of the pipeline is {_class_of(last)}: no linear model",
            code="unknown-model",
            hint=f"end it with one of {', '.join(LINEAR)}",
        )
    check_fitted(last)
    if hasattr(last.coef_, "toarray"):  # after sparsify()
        last = copy(last).densify()
    folded = fold(steps, last, feature_names(model))
    cautions = []
    if folded.unknown == "zero":
        cautions.append(
            "the pipeline ignores unknown categories: for the same answers, predict with "
            "unknown_category='zero'"
        )
    columns = [column.name for column in folded.plan.columns]
    recorded = made_by(model)
    recorded["parameters"] = {
        "steps": ", ".join(_class_of(step) for _, step in model.steps),
        **{f"{name}__{key}": value for key, value in made_by(last)["parameters"].items()},
    }
    return Learned(
        folded.plan,
        target_names(targets, len(folded.bias), columns),
        folded.weights,
        folded.bias,
        recorded,
        agreed=[host_of(recorded)],
        warnings=cautions,
    )


LINEAR = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV",
    "LinearSVR", "SGDRegressor",
)  # fmt: skip
READERS = dict.fromkeys(LINEAR, linear_model) | {"Pipeline": pipeline}


def _is_linear(model: Any) -> bool:
    """Check for a model of LINEAR, or gradline's own estimator."""
    kinds = type(model).__mro__
    return any(
        kind.__name__ in LINEAR and kind.__module__.startswith(("sklearn.", "gradline_trainer."))
        for kind in kinds
    )


def check_fitted(model: Any) -> None:
    """Refuse a model without coefficients."""
    if not hasattr(model, "coef_"):
        raise InputError(
            f"{type(model).__name__} was never fitted: it has no coef_",
            code="not-fitted",
            hint="call fit(X, y) first",
        )


def feature_names(model: Any) -> list[str] | None:
    """Get the feature names of a model that was fitted on a data frame."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def target_names(given: Sequence[str] | None, count: int, features: Sequence[str]) -> list[str]:
    """Name the targets: as given, else y or y0, y1, …, with an underscore if a feature has one."""
    if given is not None:
        return list(given)
    names = ["y"] if count == 1 else [f"y{k}" for k in range(count)]
    while not set(names).isdisjoint(features):
        names = [f"{name}_" for name in names]
    return names


def answers_of(model: Any, targets: int) -> Callable[[Array], Array]:
    """Wrap a model's predict as a function from rows (n, d) to answers (n, k)."""

    def answers(rows: Array) -> Array:
        with warnings.catch_warnings():
            # The rows are in the order of the features, but have no names.
            warnings.filterwarnings("ignore", ".*valid feature names", UserWarning)
            found: Array = np.asarray(model.predict(rows), np.float64).reshape(len(rows), targets)
        return found

    return answers


def made_by(model: Any) -> dict[str, Any]:
    """Record library, class, version and parameters of a model."""
    kind = next(k for k in type(model).__mro__ if k.__module__.startswith("sklearn."))
    parameters = {**model.get_params(deep=False)}
    parameters |= {name: getattr(model, name) for name in CHOSEN if hasattr(model, name)}
    return {
        "library": "scikit-learn",
        "class": type(model).__name__,
        "version": str(sys.modules[kind.__module__.partition(".")[0]].__version__),
        "parameters": {name: _recorded(value) for name, value in parameters.items()},
    }


def _recorded(value: Any) -> Any:
    """Turn a parameter into a JSON scalar: lists into text, other objects into their class."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 2**63 else str(value)  # NaN and infinity, too
    if isinstance(value, list | tuple):
        text = ", ".join(str(_recorded(item)) for item in value)
        return f"[{text}]" if len(text) <= LONGEST else f"[{text[:LONGEST]}…]"
    return type(value).__name__


def _class_of(step: Any) -> str:
    if isinstance(step, str):
        return step
    own = type(step).__module__.startswith("gradline_trainer.")
    return f"{'gradline ' * own}{type(step).__name__}"

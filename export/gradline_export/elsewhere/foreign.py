"""Recognize a model of another library by its class, without importing that library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradline.errors import InputError
from gradline_export.elsewhere import scikit_learn, statsmodels_results
from gradline_export.elsewhere.learned import Learned

SUPPORTED = (
    "supported: scikit-learn's LinearRegression, Ridge, Lasso, ElasticNet (also with CV), "
    "LinearSVR, SGDRegressor and Pipeline; statsmodels' results of OLS, WLS, GLS and GLM"
)
Reader = Callable[[Any, Sequence[str] | None], Learned]
#: For each library, the reader of each class and of the classes derived from it.
READERS: Mapping[str, Mapping[str, Reader]] = {
    "sklearn": scikit_learn.READERS,
    "statsmodels": statsmodels_results.READERS,
}


def learned_by(model: Any, targets: str | Sequence[str] | None) -> Learned:
    """Read the coefficients of a fitted model; `targets` names its outputs.

    Raises:
        InputError: For a model that is not linear, not supported, or was never fitted.
    """
    if isinstance(targets, str):
        targets = [targets]
    inner = getattr(model, "_results", model)  # statsmodels wraps its results
    for kind in type(inner).__mro__:
        reader = READERS.get(kind.__module__.partition(".")[0], {}).get(kind.__name__)
        if reader is not None:
            return reader(inner, targets)
    raise InputError(
        _refusal(model), code="unknown-model", hint=f"{_next_step(model)}; {SUPPORTED}"
    )


def _refusal(model: Any) -> str:
    if isinstance(model, type):
        return f"the class {model.__name__}, expected a fitted model"
    library = type(model).__module__.partition(".")[0]
    of = "" if library == "builtins" else f" of {library}"
    return f"{type(model).__name__}{of} is not a linear model that can be packaged"


def _next_step(model: Any) -> str:
    if hasattr(model, "best_estimator_"):
        return "give its best_estimator_"
    return "package_coefficients takes the weights and the bias of any linear model"

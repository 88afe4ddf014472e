"""Read fitted linear models of statsmodels; the library itself is not imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradline.errors import InputError
from gradline_export.elsewhere.learned import Array, Learned

CONSTANTS = ("const", "Intercept")


def results(found: Any, targets: Sequence[str] | None) -> Learned:
    """Read the parameters of a linear regression; a constant column of ones is the bias."""
    model = found.model
    parameters = np.asarray(found.params, np.float64)
    columns = parameters.reshape(len(parameters), -1)  # one for each target
    names = list(map(str, model.exog_names))
    constant = _constant(model, names)
    _check_formula(model, [name for place, name in enumerate(names) if place != constant])
    used = [place for place in range(len(names)) if place != constant]
    if not used:
        raise InputError(
            "the model has a constant and no feature", code="no-feature", hint="fit it on features"
        )
    if targets is None:
        own = model.endog_names
        targets = [own] if isinstance(own, str) else list(map(str, own))
    bias = np.zeros(columns.shape[1]) if constant is None else columns[constant]

    def predict(rows: Array) -> Array:
        design = np.ones((len(rows), len(names)))
        design[:, used] = rows
        answers: Array = np.asarray(model.predict(parameters, design), np.float64)
        return answers.reshape(len(rows), -1)

    return Learned.of_numbers(
        columns[used].T,
        bias,
        [names[place] for place in used],
        targets,
        made_by=_made_by(model),
        predict=predict,
    )


def generalized(found: Any, targets: Sequence[str] | None) -> Learned:
    """Read the parameters of a generalized linear model, whose link must be the identity."""
    link = type(found.model.family.link).__name__
    if link.lower() != "identity":
        raise InputError(
            f"the link of this GLM is {link}, so it is not linear in its features",
            code="unknown-model",
            hint="fit it with the identity link, or learn log(target) with gradline",
        )
    if np.any(getattr(found.model, "_offset_exposure", 0.0)):
        raise InputError(
            "this GLM has an offset, which is no part of its coefficients",
            code="unknown-model",
            hint="subtract the offset from the target, and fit without it",
        )
    return results(found, targets)


READERS = {
    "RegressionResults": results,
    "RegularizedResults": results,
    "GLMResults": generalized,
}


def _constant(model: Any, names: Sequence[str]) -> int | None:
    """Find the column of ones, by its values if the model still has its rows, else by its name."""
    design = getattr(model, "exog", None)
    if design is None:
        return next((names.index(name) for name in CONSTANTS if name in names), None)
    ones = np.flatnonzero((np.asarray(design) == 1).all(axis=0)).tolist()
    return ones[0] if ones else None


def _check_formula(model: Any, names: Sequence[str]) -> None:
    """Refuse a formula whose terms are not the table's own columns."""
    if not hasattr(model, "formula"):
        return
    frame = getattr(model.data, "frame", None)
    known = names if frame is None else list(map(str, frame.columns))
    for name in names:
        if name not in known:
            raise InputError(
                f"the formula computes {name!r} from other columns, which a package of "
                "coefficients cannot",
                code="unknown-model",
                hint="add that column to the table and fit on it, or train with gradline",
            )


def _made_by(model: Any) -> dict[str, Any]:
    parameters = {}
    if formula := getattr(model, "formula", None):
        parameters["formula"] = str(formula)
    return {
        "library": "statsmodels",
        "class": type(model).__name__,
        "version": str(sys.modules["statsmodels"].__version__),
        "parameters": parameters,
    }

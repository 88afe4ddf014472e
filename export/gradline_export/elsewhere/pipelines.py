"""Fold the fitted steps of a scikit-learn pipeline into terms, weights and a bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import localcontext
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.errors import InputError
from gradline_export.elsewhere.folding.plans import plan_of
from gradline_export.elsewhere.folding.proof import prove
from gradline_export.elsewhere.folding.steps import as_sum, fold_steps
from gradline_export.elsewhere.folding.sums import DIGITS, NONE, Raw, Sum, exactly
from gradline_export.elsewhere.folding.table import Step, Table
from gradline_trainer.rows.columns import refuse_duplicates

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Folded:
    """A pipeline, as a linear model of terms of the table's columns.

    Attributes:
        plan: The columns in use, in the table's order, and the d terms.
        weights: W, shape (k, d).
        bias: b, shape (k,).
        unknown: The value of `unknown_category` with which the package treats an unknown level as
            the pipeline does: "zero" if an encoder ignores it, "error" if all encoders refuse it;
            None without a category.
    """

    plan: Plan
    weights: Array
    bias: Array
    unknown: Literal["error", "zero"] | None


def fold(steps: Sequence[tuple[str, Any]], model: Any, names: Sequence[str] | None) -> Folded:
    """Fold fitted steps and the linear model behind them, and compare the predictions of both.

    Each weight is computed to 60 digits from the steps' parameters, and rounded once.

    Args:
        steps: The names and the fitted transformers before the model.
        model: The fitted linear model, with `coef_`, `intercept_` and `predict`.
        names: The columns that the first step takes; None for the names that it was fitted with,
            or x0, x1, ….

    Raises:
        InputError: For a step that cannot be folded, naming it ("pipeline-steps"), and one that is
            not fitted ("not-fitted").
        RefusedError: If the folded model and the pipeline differ by more than rounding.
    """
    _check_model(model)
    table = Table(_names(steps, model, names))
    refuse_duplicates(table.names, table.names)
    last = Step(*steps[-1]) if steps else Step("model", model)
    coefficients = np.atleast_2d(np.asarray(model.coef_, np.float64))
    intercepts = np.broadcast_to(np.ravel(model.intercept_), len(coefficients))
    with localcontext(DIGITS):
        raw = [Raw(name) for name in table.names]
        outputs = fold_steps(Step("", None), steps, raw, table)
        sums = [as_sum(last, output) for output in outputs]
        if coefficients.shape[1] != len(sums):
            raise InputError(
                f"the model has {coefficients.shape[1]} weights, and the steps before it have "
                f"{len(sums)} outputs",
                code="pipeline-steps",
                hint="give the steps that the model was fitted behind",
            )
        totals = [_total(row, b, sums) for row, b in zip(coefficients, intercepts, strict=True)]
    products = list(dict.fromkeys(product for one in sums for product in one if product))
    plan, of_term = plan_of(products, table, last)
    if not of_term:
        raise last.refused("it leaves no column to predict from")
    order = [*of_term.values(), ()]
    values = np.array([[float(t.get(p, NONE).value) for p in order] for t in totals])
    sizes = np.array([[float(t.get(p, NONE).size) for p in order] for t in totals])
    weights, bias = np.ascontiguousarray(values[:, :-1]), values[:, -1]
    prove(plan, weights, bias, sizes, steps, model, table)
    categories = [column.name for column in plan.columns if column.kind == "category"]
    ignoring = not table.ignoring.isdisjoint(categories)
    unknown: Literal["error", "zero"] = "zero" if ignoring else "error"
    return Folded(plan, weights, bias, unknown if categories else None)


def _check_model(model: Any) -> None:
    """Refuse an estimator of ours that encodes or fills the steps' outputs."""
    fit = getattr(model, "fit_", None)
    plan = None if fit is None else fit.columns.plan
    if plan is None or (plan.is_plain and all(column.fill is None for column in plan.columns)):
        return
    raise InputError(
        "the LinearRegression behind the steps encodes or fills their outputs",
        code="pipeline-steps",
        hint="let the steps encode and fill, and fit it with terms=None and missing='auto'; or fit "
        "it on the table itself, without steps, with terms='*'",
    )


def _total(weights: Array, bias: Any, sums: Sequence[Sum]) -> Sum:
    """Add up the model's weighted sum of the steps' outputs."""
    found: Sum = {(): exactly(bias)}
    for weight, one in zip(weights, sums, strict=True):
        coefficient = exactly(weight)
        for product, share in one.items():
            found[product] = found.get(product, NONE) + coefficient * share
    return found


def _names(steps: Sequence[tuple[str, Any]], model: Any, names: Sequence[str] | None) -> list[str]:
    """Find the columns that the first step takes."""
    fitted = [step for _, step in steps if step is not None and step != "passthrough"]
    first = [*fitted, model][0]
    own = getattr(first, "feature_names_in_", None)
    width = getattr(first, "n_features_in_", None)
    if names is None and own is not None:
        return list(map(str, own))
    if width is None:
        width = len(own) if own is not None else np.shape(model.coef_)[-1]
    if names is None:
        return [f"x{j}" for j in range(width)]
    if len(names) != width:
        raise InputError(
            f"{len(names)} names, and the pipeline takes {width} columns",
            code="wrong-shape",
            hint="give one name per column",
        )
    return list(names)

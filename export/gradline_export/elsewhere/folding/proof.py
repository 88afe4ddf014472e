"""Compare a folded pipeline with the pipeline itself, on rows of values that its steps know."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.columns.matrix import is_missing
from gradline.columns.parsing import values_of
from gradline.columns.plan import Plan
from gradline.errors import RefusedError
from gradline_export.elsewhere.folding.table import Table

Array = NDArray[np.float64]
U = 2.0**-53
DRAWN = 16  # rows beside those that show each value once
AT_ONCE = 1 << 22  # terms that are computed at a time
TYPICAL = (-1.5, 0.0, 1.0, 2.75)  # for a column whose values no step knows


def sample(plan: Plan, table: Table) -> dict[str, NDArray[Any]]:
    """Make rows with each known value, and missing and unknown ones if the pipeline takes them."""
    generator = np.random.default_rng(0)
    columns = {column.name: column for column in plan.columns}
    values = {name: _values(name, columns.get(name), table) for name in table.names}
    n = max(map(len, values.values())) + DRAWN
    rows = {}
    for name, known in values.items():
        places = [*range(len(known)), *generator.integers(0, len(known), n - len(known))]
        generator.shuffle(places)
        rows[name] = _array([known[place] for place in places])
    return rows


def _values(name: str, column: Column | None, table: Table) -> list[Any]:
    known = list(table.samples.get(name, ())) or list(TYPICAL)
    is_text = any(isinstance(value, str) for value in known)
    if name in table.ignoring and is_text:
        known.append("".join(map(str, known)) + "?")
    elif name in table.ignoring:
        known.append(max(value for value in known if not is_missing(value)) + 1)
    may_miss = column is not None and (column.missing or column.fill is not None)
    if may_miss and not any(map(is_missing, known)):
        known.append(np.nan)
    return known


def _array(values: list[Any]) -> NDArray[Any]:
    if any(value is None or isinstance(value, str | bool) for value in values):
        return np.array(values, dtype=object)
    return np.array(values, dtype=np.float64)


def pipeline_answers(
    rows: dict[str, NDArray[Any]], steps: Sequence[tuple[str, Any]], model: Any
) -> Array:
    """Predict by the steps and the model, shape (n, k)."""
    given = _carried(rows, steps, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown levels are in the rows on purpose
        for _, step in steps:
            if step is not None and step != "passthrough":
                given = step.transform(given)
        answers = np.asarray(model.predict(given), dtype=np.float64)
    return answers.reshape(len(answers), -1)


def _carried(rows: dict[str, NDArray[Any]], steps: Sequence[tuple[str, Any]], model: Any) -> Any:
    """Build the pipeline's input: a frame if it was fitted on names, else an array."""
    first = next((s for _, s in steps if s is not None and s != "passthrough"), model)
    if not hasattr(first, "feature_names_in_"):
        return np.array(list(rows.values()), dtype=_common(rows)).T
    names = [str(name) for name in first.feature_names_in_]
    columns = dict(zip(names, rows.values(), strict=True))
    if "pandas" in sys.modules:
        return sys.modules["pandas"].DataFrame(columns)
    import polars

    return polars.DataFrame({n: polars.Series(n, v.tolist()) for n, v in columns.items()})


def _common(rows: dict[str, NDArray[Any]]) -> Any:
    return object if any(v.dtype.kind == "O" for v in rows.values()) else np.float64


def prove(
    plan: Plan,
    weights: Array,
    bias: Array,
    sizes: Array,
    steps: Sequence[tuple[str, Any]],
    model: Any,
    table: Table,
) -> None:
    """Check that W (k, d) and b (k,) answer as the pipeline does, within rounding.

    Both are sums of products whose absolute values add up to at most M = |t|·sizesᵀ, with the terms
    t and 1. A product is rounded at most once for each addition and twice for each step; one of
    degree g, g times as often. So the answers differ by at most 2·γ·M, with γ = m·u/(1 − m·u) for m
    roundings.

    Raises:
        RefusedError: If an answer differs by more.
    """
    rows = sample(plan, table)
    size = max(1, AT_ONCE // weights.shape[1])
    for start in range(0, len(rows[table.names[0]]), size):
        block = {name: values[start : start + size] for name, values in rows.items()}
        _compare(block, plan, weights, bias, sizes, steps, model, table)


def _compare(
    rows: dict[str, NDArray[Any]],
    plan: Plan,
    weights: Array,
    bias: Array,
    sizes: Array,
    steps: Sequence[tuple[str, Any]],
    model: Any,
    table: Table,
) -> None:
    """Compare the answers for some rows; see `prove`."""
    unknown = "zero" if table.ignoring else "missing"
    columns = [values_of(column, rows[column.name], unknown) for column in plan.columns]
    terms = plan.compute(np.column_stack(columns))
    expected = pipeline_answers(rows, steps, model)
    answers = terms @ weights.T + bias
    reach = np.column_stack([np.abs(terms), np.ones(len(terms))]) @ sizes.T
    roundings = weights.shape[1] + model.coef_.shape[-1] + 2 + (2 * table.depth + 2) * table.degree
    bound = 2 * roundings * U / (1 - roundings * U) * reach
    # A missing answer is not within any bound.
    wrong = ~(np.abs(answers - expected) <= bound)
    if wrong.any():
        row, target = np.argwhere(wrong)[0]
        shown = ", ".join(f"{name} = {values[row]!r}" for name, values in rows.items())
        raise RefusedError(
            f"the package would answer {answers[row, target]:.17g}, but the pipeline answers "
            f"{expected[row, target]:.17g} (rounding explains {bound[row, target]:.3g}): {shown}",
            code="no-parity",
            hint="nothing was published; fit the model on the table itself, without the pipeline",
        )

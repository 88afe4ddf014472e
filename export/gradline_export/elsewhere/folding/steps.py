"""Turn the transformers of scikit-learn that a package can take in into sums of terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from gradline.columns.matrix import is_missing
from gradline.columns.terms import Factor
from gradline.errors import InputError
from gradline_export.elsewhere.folding.encoders import encode
from gradline_export.elsewhere.folding.sums import (
    ONE,
    Output,
    Raw,
    Sum,
    divided,
    exactly,
    imputed,
    indicator,
    multiplied,
    scaled,
    shifted,
    variable,
)
from gradline_export.elsewhere.folding.table import Step, Table

Fold = Callable[[Step, Sequence[Output], Table], list[Output]]


def fold_step(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    """Compute a fitted step's outputs.

    Raises:
        InputError: For a step that is not fitted, or that cannot be folded.
    """
    kind = type(step.transformer)
    if step.transformer is None or step.transformer == "passthrough":
        return list(inputs)
    if kind not in FOLDS:
        raise step.refused("a package cannot compute its output")
    try:
        check_is_fitted(step.transformer)
    except NotFittedError:
        raise InputError(
            f"the step {step.path!r} ({kind.__name__}) is not fitted",
            code="not-fitted",
            hint="fit the pipeline first: pipeline.fit(X, y)",
        ) from None
    table.depth += 1
    return FOLDS[kind](step, inputs, table)


def fold_steps(
    step: Step, steps: Sequence[tuple[str, Any]], inputs: Sequence[Output], table: Table
) -> list[Output]:
    """Compute the outputs of steps in a row, within `step`."""
    outputs = list(inputs)
    for name, transformer in steps:
        outputs = fold_step(step.within(name, transformer), outputs, table)
    return outputs


def as_sum(step: Step, output: Output) -> Sum:
    """Take an output as a number."""
    if not isinstance(output, Raw):
        return output
    if isinstance(output.fill, str):
        raise step.refused(f"the column {output.name!r} holds text, and is not encoded")
    return variable(output.name, None if output.fill is None else float(output.fill))


def _pipeline(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    return fold_steps(step, step.transformer.steps, inputs, table)


def _columns(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    """Compute the outputs of each transformer from its columns, in order."""
    transformer = step.transformer
    names = [str(name) for name in getattr(transformer, "feature_names_in_", ())]
    outputs: list[Output] = []
    weights = transformer.transformer_weights or {}
    for name, part, chosen in transformer.transformers_:
        places = places_of(chosen, names, len(inputs))
        if (isinstance(part, str) and part == "drop") or not places:
            continue
        inner = step.within(name, part)
        found = fold_step(inner, [inputs[place] for place in places], table)
        if (weight := weights.get(name)) is not None:
            found = [scaled(as_sum(inner, output), exactly(weight)) for output in found]
        outputs += found
    return outputs


def places_of(chosen: Any, names: Sequence[str], width: int) -> list[int]:
    """Find the places of a ColumnTransformer's columns: names, places, a slice or a mask."""
    if isinstance(chosen, slice):
        ends = chosen.start, chosen.stop
        if any(isinstance(end, str) for end in ends):  # by name, the last one is included
            start = 0 if ends[0] is None else names.index(ends[0])
            stop = width if ends[1] is None else names.index(ends[1]) + 1
            chosen = slice(start, stop, chosen.step)
        return [*range(width)][chosen.start : chosen.stop : chosen.step]
    given = list(np.atleast_1d(np.asarray(chosen, dtype=object)))
    if all(isinstance(one, bool | np.bool_) for one in given):
        return [place for place, one in enumerate(given) if one]
    return [names.index(one) if isinstance(one, str) else range(width)[one] for one in given]


def _standard(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    scaler, width = step.transformer, len(inputs)
    means = scaler.mean_ if scaler.with_mean else np.zeros(width)
    scales = scaler.scale_ if scaler.with_std else np.ones(width)
    found: list[Output] = []
    for given, mean, scale in zip(inputs, means, scales, strict=True):
        if isinstance(given, Raw):
            table.add_samples(given.name, map(float, (mean - scale, mean, mean + 2 * scale)))
        found.append(divided(shifted(as_sum(step, given), -mean), scale))
    return found


def _min_max(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    scaler = step.transformer
    if scaler.clip:
        raise step.refused("clip=True cuts values off", "fit it with clip=False")
    found: list[Output] = []
    for j, given in enumerate(inputs):
        if isinstance(given, Raw):
            table.add_samples(given.name, (float(scaler.data_min_[j]), float(scaler.data_max_[j])))
        stretched = scaled(as_sum(step, given), exactly(scaler.scale_[j]))
        found.append(shifted(stretched, scaler.min_[j]))
    return found


def _impute(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    """Fill missing values, drop columns without any value, and add the indicators asked for."""
    imputer = step.transformer
    if not is_missing(imputer.missing_values):
        raise step.refused(
            f"it fills {imputer.missing_values!r}, and a package knows only missing values",
            "replace that value with NaN in the table, and fit with missing_values=nan",
        )
    found: list[Output] = []
    for given, value in zip(inputs, imputer.statistics_, strict=True):
        if is_missing(value):  # no row had a value
            if imputer.keep_empty_features:
                raise step.refused("it keeps a column without any value")
            continue
        found.append(_filled(step, given, value))
    marked = imputer.indicator_.features_ if imputer.indicator_ is not None else ()
    for place in marked:
        given = inputs[place]
        if not isinstance(given, Raw):
            raise step.refused("add_indicator=True marks what another step computed")
        found.append(indicator(Factor(given.name, "missing")))
    return found


def _filled(step: Step, given: Output, value: Any) -> Output:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(given, Raw):
        return given if given.fill is not None else Raw(given.name, value)
    found = imputed(given, value)
    if found is None:
        raise step.refused("it fills what another step computed of several columns")
    return found


def _polynomial(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    powers = step.transformer.powers_
    table.degree *= int(powers.sum(axis=1).max(initial=1))
    sums = [as_sum(step, given) for given in inputs]
    found: list[Output] = []
    for row in powers:
        product: Sum = {(): ONE}
        for place in np.flatnonzero(row):
            for _ in range(row[place]):
                product = multiplied(product, sums[place])
        found.append(product)
    return found


def _function(step: Step, inputs: Sequence[Output], table: Table) -> list[Output]:
    """Pass columns through, as a ColumnTransformer does by a FunctionTransformer."""
    if step.transformer.func is not None:
        raise step.refused("it calls a function of Python")
    return list(inputs)


FOLDS: dict[type, Fold] = {
    ColumnTransformer: _columns,
    FunctionTransformer: _function,
    MinMaxScaler: _min_max,
    OneHotEncoder: encode,
    Pipeline: _pipeline,
    PolynomialFeatures: _polynomial,
    SimpleImputer: _impute,
    StandardScaler: _standard,
}

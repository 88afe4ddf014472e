"""Score models on saved moments, without the rows: any linear model's errors follow from them.

With v = (w, −1) over a target's terms and itself, an error is e = v·[x, y] + b. Its mean is v·μ + b
and its variance vᵀCv/Σw, with C the co-moments. Rounding hides a mean squared error below
2(d + 2)·u·mean(y²).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.columns.targets import learned_name
from gradline.errors import InputError, in_quotes, nearest
from gradline.formatting import count
from gradline.model import Model
from gradline.scoring.errors import Score
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.columns import Columns
from gradline_trainer.saved.deciding import select_terms
from gradline_trainer.saved.differences import found_of, label, with_terms
from gradline_trainer.saved.files import load_moments

Array = NDArray[np.float64]
UNIT = 2.0**-53
WITH_ROWS = "give the table, or save its moments with --like PACKAGE"


def evaluate_moments(
    models: Sequence[Model], path: Path, targets: Sequence[str], weight: str | None
) -> tuple[list[dict[str, Score]], list[str]]:
    """Score models on the rows that moments were gathered from.

    Args:
        models: The models, each with all targets.
        path: A file that `save_moments` wrote.
        targets: The targets to score.
        weight: The column of sample weights; it must be the one of the moments.

    Returns:
        Each model's scores by target, and warnings.

    Raises:
        InputError: For a file that can't be read, lacks a term or a target of a model, or has other
            weights.
    """
    saved = load_moments(path)
    _check_weight(saved, weight)
    scores, notes = [], []
    if saved.rows_held_out:
        rows = count(saved.rows_held_out, "held-out row")
        notes.append(f"{label(saved)} does not include {rows}")
    for model in models:
        _check_targets(saved, model, targets)
        plan, moments = _of_model(saved, model, targets)
        notes += _unlike_rows(saved, plan)
        scores.append(_scores(model, moments, targets, saved.rows_dropped))
    return scores, list(dict.fromkeys(notes))


def _check_weight(saved: SavedMoments, weight: str | None) -> None:
    own = saved.columns.weight
    if weight == own:
        return
    has = "has no sample weights" if own is None else f"weights the rows by {own!r}"
    hint = "leave out --sample-weight" if own is None else f"--sample-weight {in_quotes(own)}"
    raise InputError(f"{label(saved)} {has}", code="bad-option", hint=f"{hint}, or give the table")


def _check_targets(saved: SavedMoments, model: Model, targets: Sequence[str]) -> None:
    """Check that the file has each target as the model learned it, or its logarithm."""
    columns = saved.columns
    functions = columns.functions or (None,) * len(columns.targets)
    for target in targets:
        if target not in columns.targets:
            what = f"{label(saved)} has no target {target!r}"
            raise InputError(what, code="missing-target", hint=nearest(target, columns.targets))
        own = model.functions[model.targets.index(target)]
        learned = learned_name(target, own.function if own else None)
        known = learned_name(target, functions[columns.targets.index(target)])
        if learned != known:
            what = f"{label(saved)} has the moments of {known}, and {model.name} predicts {learned}"
            raise InputError(what, code="needs-rows", hint="give the table")


def _of_model(saved: SavedMoments, model: Model, targets: Sequence[str]) -> tuple[Plan, Moments]:
    """Compute the moments of a model's terms and targets; return the model's plan, too."""
    plan = model.plan
    try:
        saved = with_terms(saved)
    except InputError:  # format 1's levels and fills, under the names of the graph's inputs
        return plan, _by_name(saved, plan, targets)
    try:
        return plan, select_terms(saved, Columns(plan, list(targets), None, [])).moments
    except InputError as error:
        if error.code != "needs-rows":
            raise
        what = f"{label(saved)} can't score {model.name}: {str(error).rpartition(': ')[2]}"
        raise InputError(what, code=error.code, hint=WITH_ROWS) from None


def _by_name(saved: SavedMoments, plan: Plan, targets: Sequence[str]) -> Moments:
    names = [*saved.columns.features, *saved.columns.targets]
    fills = {column.name: column.fill for column in saved.columns.inputs}
    for column in plan.columns:
        if column.kind == "number" and column.fill != fills.get(column.name, column.fill):
            what = f"{label(saved)} fills missing values of {column.name!r} with another number"
            raise InputError(what, code="needs-rows", hint=WITH_ROWS)
    for name in plan.features:
        if name not in names:
            what = f"{label(saved)} has no moments of the term {name}"
            raise InputError(what, code="needs-rows", hint=WITH_ROWS)
    return saved.moments.take(np.array([names.index(n) for n in (*plan.features, *targets)]))


def _unlike_rows(saved: SavedMoments, plan: Plan) -> Iterator[str]:
    """Warn about rows that an evaluation on the table would skip or fill differently."""
    columns: Mapping[str, Column] = {column.name: column for column in plan.columns}
    if saved.columns.survey is None:
        return
    for name, found in found_of(saved.columns).items():
        own = columns.get(name)
        if own is None:
            continue
        if own.kind == "category":
            rows = sum(n for level, n in found.counts.items() if level not in own.places)
            if rows:
                yield (
                    f"{count(rows, 'row')} with a category of {name!r} that no training row had: "
                    "its indicators are 0"
                )
        lacks = own.fill is None and not own.missing
        if found.missing and lacks:
            how = "their indicators are 0" if own.kind == "category" else "filled with their mean"
            yield (
                f"{count(found.missing, 'row')} without a value of {name!r}, for which the model "
                f"has no prediction, can't be left out of the moments: {how}"
            )


def _scores(
    model: Model, moments: Moments, targets: Sequence[str], skipped: int
) -> dict[str, Score]:
    graph = model.package.graph
    d, found = len(model.features), {}
    for place, target in enumerate(targets, d):
        row = model.targets.index(target)
        chosen = moments.take(np.array([*range(d), place]))
        errors = np.append(graph.weights[row].astype(np.float64), -1.0)
        function = model.functions[row]
        found[target] = _score(
            chosen, errors, float(graph.bias[row]), skipped, function.function if function else None
        )
    return found


def _score(m: Moments, errors: Array, bias: float, skipped: int, function: str | None) -> Score:
    """Compute a score from the moments of the terms and the target; see the module."""
    d = len(errors) - 1
    off = math.fsum([*(errors * m.mean).tolist(), *(errors * m.mean_rest).tolist(), bias])
    with np.errstate(over="ignore", invalid="ignore"):
        mean_square = off**2 + float(errors @ (m.comoment @ errors)) / m.weight
        truth = float(m.squares[-1]) / m.weight
        limit = 2 * (d + 2) * UNIT * (float(m.mean[-1]) ** 2 + truth)
        # Subtracted rows leave rounding errors.
        limit += m.rounding * float(np.abs(errors) @ np.sqrt(m.squares)) ** 2 / m.weight
    if not math.isfinite(mean_square):
        what = "the errors are too large to add up their squares"
        raise InputError(what, code="out-of-range", hint="divide the target first")
    resolved = mean_square >= limit
    return Score(
        rows=m.rows,
        rmse=math.sqrt(mean_square) if resolved else None,
        mae=None,
        r2=1 - mean_square / truth if resolved and truth else None,
        bias=off,
        skipped=skipped,
        scale=function or "units",
        below_resolution=None if resolved else math.sqrt(limit),
        without_truth=None,
    )

"""Check that a table with given moments can exist, after reading a file or subtracting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gradline.columns.calendar import PARTS
from gradline.columns.terms import Factor, Term
from gradline_trainer.descent.problem import cholesky
from gradline_trainer.moments.moments import Moments
from gradline_trainer.moments.saved_moments import SavedMoments
from gradline_trainer.rows.library_state import one_thread_each
from gradline_trainer.rows.surveyed import Survey, Surveyed
from gradline_trainer.saved.whole import level_function

ROUNDING = 2.0**-40  # relative, of a co-moment: far more than any sum over blocks has


def check_moments(saved: SavedMoments) -> None:
    """Raise ValueError unless moments are finite, in range and semidefinite within rounding."""
    names = [*saved.columns.features, *saved.columns.targets]
    for moments in (saved.moments, *saved.folds):
        if fault := _fault(moments, names, weighted=saved.columns.weight is not None):
            raise ValueError(fault)
    left = saved.rows_read - saved.rows_dropped - saved.rows_held_out
    if saved.moments.rows > left:
        raise ValueError(f"{saved.moments.rows} training rows, of {left}")
    if saved.folds and sum(fold.rows for fold in saved.folds) != saved.moments.rows:
        raise ValueError("the folds' rows do not add up")
    if len(saved.folds) == 1:
        raise ValueError("a single fold")
    if saved.columns.survey is not None:
        _check_indicators(saved, saved.columns.survey)


def _check_indicators(saved: SavedMoments, survey: Survey) -> None:
    """Raise ValueError unless indicators are those of columns that hold what was counted."""
    blocks = _blocks(saved.columns.plan.terms)
    names = saved.columns.features
    for moments in (saved.moments, *saved.folds):
        for places in blocks.values():
            if (j := _no_indicators(moments, places)) is not None:
                raise ValueError(f"{names[j]!r} is not 0 or 1, or not apart from its other levels")
    if {found.rows for found in survey.found} != {survey.found[0].rows}:
        raise ValueError("the columns have different numbers of rows")
    whole, rows = saved.moments, survey.found[0].rows
    if not whole.rows <= rows <= saved.rows_read - saved.rows_held_out:
        raise ValueError(f"{rows} rows were counted, of {saved.rows_read}")
    places = {factor: place for block in blocks.values() for factor, place in block.items()}
    weighted = saved.columns.weight is not None
    for factor, count in (pair for found in survey.found for pair in _counts(found)):
        j = places.get(factor)
        if j is not None and not _has_count(whole, j, count, weighted, whole.rows == rows):
            raise ValueError(f"{names[j]!r} has {count} rows, but a mean of {whole.mean[j]:g}")


def _has_count(moments: Moments, j: int, count: int, weighted: bool, every: bool) -> bool:
    """Check an indicator's mean against its rows; `every` if none of these was dropped."""
    has, off = moments.rows * float(moments.mean[j]), (ROUNDING + moments.rounding) * moments.rows
    if weighted:
        return bool(count) if moments.mean[j] > 0 else not (count and every)
    return abs(has - count) <= off if every else has <= count + off


def _blocks(terms: Sequence[Term]) -> dict[tuple[str, str | None], dict[Factor, int]]:
    """Find the places of indicators that exclude each other, by column and part."""
    blocks: dict[tuple[str, str | None], dict[Factor, int]] = {}
    for place, term in enumerate(terms):
        if len(term) == 1 and term[0].is_indicator:
            (factor,) = term
            part = factor.function if factor.function in PARTS else None
            blocks.setdefault((factor.column, part), {})[factor] = place
    return blocks


def _no_indicators(moments: Moments, block: Mapping[Factor, int]) -> int | None:
    """Find an indicator whose co-moments are not W·(m − m²) and −W·m·m' with the others."""
    places = np.array(list(block.values()), np.intp)
    mean = moments.mean[places] + moments.mean_rest[places]
    expected = moments.weight * (np.diag(mean) - np.outer(mean, mean))
    off = np.abs(moments.comoment[np.ix_(places, places)] - expected)
    wrong = (off > (ROUNDING + moments.rounding) * moments.weight).any(axis=0)
    wrong |= (mean < -ROUNDING) | (mean > 1 + ROUNDING)
    wrong |= (moments.minimum[places] < 0) | (moments.maximum[places] > 1)
    return int(places[np.argmax(wrong)]) if wrong.any() else None


def _counts(found: Surveyed) -> Iterator[tuple[Factor, int]]:
    """Yield indicators, and how many rows have them."""
    name, function = found.column.name, level_function(found)
    if found.column.kind == "category":
        for level in found.column.levels:
            yield Factor(name, function, level=level), found.counts.get(level, 0)
    for part, counts in found.parts.items():
        for value in PARTS[part].values:
            yield Factor(name, part, level=value), counts.get(value, 0)
    yield Factor(name, "missing"), found.missing


def _fault(m: Moments, names: list[str], *, weighted: bool) -> str | None:
    if m.rows < 1 or not 0 < m.weight < np.inf or (not weighted and m.weight != m.rows):
        return f"{m.rows} rows of total weight {m.weight:g}"
    ranges = [] if np.isnan(m.minimum).all() else [m.minimum, m.maximum]
    for what, found in zip(
        ("mean", "mean", "co-moment", "range", "range"),
        (m.mean, m.mean_rest, m.comoment, *ranges),
        strict=False,
    ):
        if not np.isfinite(found).all():
            j = int(np.argwhere(~np.isfinite(found))[0][0])
            return f"a {what} of {names[j]!r} is not finite"
    if (m.squares < 0).any():
        return f"the variance of {names[int(np.argmin(m.squares))]!r} is negative"
    far = ~(m.minimum <= m.maximum) if ranges else np.zeros(len(names), np.bool_)
    if far.any():
        return f"the range of {names[int(np.argmax(far))]!r} is empty"
    if not is_semidefinite(m):
        return "the co-moments are not positive semidefinite"
    return None


@one_thread_each()
def is_semidefinite(moments: Moments) -> bool:
    """Check that the co-moments are positive semidefinite within their rounding.

    Cholesky factorization of the matrix, scaled to a unit diagonal with a little added, decides. A
    column without variance is left out: its products may not be 0 though its squares underflow.
    """
    varies = np.flatnonzero(moments.squares > 0)
    deviation = np.sqrt(moments.squares[varies])
    scaled: NDArray[np.float64] = moments.comoment[np.ix_(varies, varies)]
    with np.errstate(over="ignore"):
        scaled = scaled / deviation / deviation[:, None]
    if not np.isfinite(scaled).all():
        return False
    np.fill_diagonal(scaled, 1 + len(varies) * (ROUNDING + moments.rounding))
    return cholesky(scaled) is not None

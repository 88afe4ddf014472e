"""The plots of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.columns.kinds import RARE, Column
from gradline.formatting import isolated, number
from gradline_export.report.chart import PLAIN, Axis, Chart, decade_of, short, times, width_of
from gradline_export.report.effects import MISSING

Array = NDArray[np.float64]
POINTS = 200  # rows drawn as points; more are counted
BINS = 24  # in each direction
STEPS = 50  # shades of a correlation
SHADES = (0.12, 0.25, 0.4, 0.6, 0.85)  # of counts, on a logarithmic scale
FEW = 10  # columns of a map with written numbers
FAINT = 0.45  # the strongest colour on which text is readable, in either theme
LEVELS = 10  # of a category beside its residuals
LEAST = 5  # rows of a level whose residuals are summarized
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)  # the whiskers, the box and its line


def loss_plot(history: Sequence[float], optimum: float | None) -> Markup:
    """Plot the loss by epoch on a logarithmic scale, with the lowest possible loss as a line."""
    losses, epochs = _decades(history), np.arange(1.0, len(history) + 1)
    least = math.log10(optimum) if optimum else None
    shown = losses if least is None else np.append(losses, least)
    step = max(math.ceil(len(history) / 6), 1)
    ticks = [(float(e), f"{e}") for e in range(1, len(history) + 1, step)]
    across = Axis(0.5, len(history) + 0.5, ticks, "epoch")
    title = "The loss of each epoch, on a logarithmic scale"
    chart = Chart("loss", title, across, _decade_axis(shown, "loss"))
    if least is not None:
        chart.line([across.low, across.high], [least, least], "warn", width=1, dashed=True)
    chart.line(epochs, losses)
    if len(history) <= 30:
        chart.points(epochs, losses)
    return chart.drawn()


def prediction_plot(
    name: str, target: str, actual: Array, predicted: Array, *, logarithmic: bool = False
) -> Markup:
    """Plot predicted against actual values: points, or counts if there are many."""
    both = np.append(actual, predicted)
    if logarithmic and (both > 0).all():
        x, y = np.log10(actual), np.log10(predicted)
        axis = _decade_axis(np.append(x, y), f"actual {short(target)}")
    else:
        decade = decade_of(both)
        x, y = actual / decade, predicted / decade
        axis = Axis.over(np.append(x, y), f"actual {short(target)}{times(decade)}")
    upwards = Axis(axis.low, axis.high, axis.ticks, "predicted")
    chart = Chart(name, f"Predicted against actual values of {isolated(target)}", axis, upwards)
    ends = [axis.low, axis.high]
    _cloud(chart, x, y, ends, ends)
    return chart.drawn()


def residual_plot(name: str, target: str, predicted: Array, residuals: Array) -> Markup:
    """Plot residuals over predicted values: points, or counts if there are many."""
    wide = decade_of(predicted)
    across = Axis.over(predicted / wide, f"predicted {short(target)}{times(wide)}")
    title = f"Residuals of {isolated(target)} over predicted values"
    return _residuals(name, title, across, predicted / wide, residuals)


def column_plot(
    name: str, target: str, column: Column, values: Array, residuals: Array
) -> Markup | None:
    """Plot residuals over a column's values; None if no value is known."""
    if column.kind == "category":
        return _level_plot(name, target, column, values, residuals)
    known = np.isfinite(values)
    if not known.any():
        return None
    x, wide = values[known], decade_of(values[known])
    title = f"Residuals of {isolated(target)} over {isolated(column.name)}"
    if column.kind == "time":
        return _residuals(name, title, Axis.of_times(x, short(column.name)), x, residuals[known])
    across = Axis.over(x / wide, f"{short(column.name)}{times(wide)}")
    return _residuals(name, title, across, x / wide, residuals[known])


def normal_plot(name: str, target: str, residuals: Array) -> Markup:
    """Plot the residuals' quantiles over those of a normal distribution (Q-Q plot)."""
    n = min(len(residuals), POINTS)
    shares = (np.arange(n) + 0.5) / n
    x = np.array([NormalDist().inv_cdf(share) for share in shares.tolist()])
    high = decade_of(residuals)
    found = residuals / high
    y = np.sort(found) if len(found) == n else np.quantile(found, shares)
    across = Axis.over(x, "normal quantiles")
    upwards = Axis.over(y, f"residual{times(high)}")
    title = f"Q-Q plot of the residuals of {isolated(target)} against a normal distribution"
    chart = Chart(name, title, across, upwards)
    chart.points(x, y, alpha=0.7)
    mean, deviation = float(found.mean()), float(found.std())
    ends = np.array([x[0], x[-1]])
    chart.line(ends, mean + deviation * ends, "warn", width=1, dashed=True)
    return chart.drawn()


def correlation_plot(names: Sequence[str], correlations: Array) -> Markup:
    """Draw correlations as a map: strong ones dark, negative ones in the other colour."""
    p = len(names)
    across = Axis(0, p - 1, [(j + 0.5, short(n)) for j, n in enumerate(names[:-1])])
    upwards = Axis(p, 1, [(i + 0.5, short(n)) for i, n in enumerate(names) if i])
    # A cell has room for a written number.
    side = max(map(width_of, map(short, names)), default=0.0) + (28 if p <= FEW else 18) * (p - 1)
    side += 20
    title = "Correlations of the features and targets"
    chart = Chart("correlations", title, across, upwards, side, side, frame=False, turned=True)
    i, j = np.nonzero(np.tri(p, k=-1) * np.isfinite(correlations))
    values = correlations[i, j]
    shades = np.round(np.abs(values) * STEPS).astype(int)
    for colour, signed in (("accent", values > 0), ("warn", values < 0)):
        for shade in range(1, STEPS + 1):
            chosen = signed & (shades == shade)
            alpha = shade / STEPS * (FAINT if p <= FEW else 1)
            ends = (j[chosen], j[chosen] + 0.94), (i[chosen], i[chosen] + 0.94)
            chart.cells(*ends, colour, round(alpha, 3))
    if p <= FEW:
        for row, column, value in zip(i, j, values, strict=True):
            # No -0.00.
            chart.text(column + 0.47, row + 0.47, f"{round(value, 2) + 0.0:.2f}")
    return chart.drawn("text")


def ridge_plot(path: Mapping[str, Any]) -> Markup:
    """Plot the cross-validated error over the penalty, with a band of ± one standard error."""
    penalties = np.log10(path["penalties"])
    errors, spread = np.array(path["errors"]), np.array(path["standard_errors"])
    upwards = Axis.over(np.append(errors - spread, errors + spread), "error")
    title = "Cross-validated error by ridge penalty"
    chart = Chart("ridge", title, _decade_axis(penalties, "penalty"), upwards)
    chart.area(penalties, errors - spread, errors + spread, "accent", 0.2)
    chart.line(penalties, errors)
    place = path["penalties"].index(path["chosen"])
    chart.points(penalties[[place]], errors[[place]], "warn", size=6)
    return chart.drawn()


def _residuals(name: str, title: str, across: Axis, x: Array, residuals: Array) -> Markup:
    """Plot residuals over the values of an axis."""
    high = decade_of(residuals)
    chart = Chart(name, title, across, Axis.over(residuals / high, f"residual{times(high)}"))
    _cloud(chart, x, residuals / high, [across.low, across.high], [0.0, 0.0])
    return chart.drawn()


def _level_plot(
    name: str, target: str, column: Column, codes: Array, residuals: Array
) -> Markup | None:
    """Plot the residuals of each level: points, or a box for many rows."""
    names = [*column.levels, MISSING, RARE]
    known = np.where(np.isfinite(codes), codes, -1).astype(int)
    counts = np.bincount(known[known >= 0], minlength=len(names))
    few = len(residuals) <= POINTS
    chosen = [c for c in np.argsort(-counts, kind="stable")[:LEVELS].tolist() if counts[c]]
    chosen = sorted(c for c in chosen if few or counts[c] >= LEAST)
    if not chosen:
        return None
    high, p = decade_of(residuals), len(chosen)
    found = [residuals[known == code] / high for code in chosen]
    drawn = found if few else [np.quantile(own, SHARES) for own in found]
    shown = f"{short(column.name)}: residual{times(high)}"
    across = Axis.over(np.concatenate(drawn), shown)
    upwards = Axis(p, 0, [(i + 0.5, short(names[code])) for i, code in enumerate(chosen)])
    title = f"Residuals of {isolated(target)} by {isolated(column.name)}"
    chart = Chart(name, title, across, upwards)
    for i, (own, ends) in enumerate(zip(found, drawn, strict=True)):
        if few:
            chart.points(own, np.full(len(own), i + 0.5), alpha=0.5)
        else:
            _box(chart, i + 0.5, ends)
    chart.line([0, 0], [0, p], "warn", width=1, dashed=True)
    return chart.drawn("text")


def _box(chart: Chart, place: float, ends: Array) -> None:
    least, lower, middle, upper, most = ends[:, None]
    chart.line([least[0], most[0]], [place, place], width=1)
    chart.cells((lower, upper), (np.array([place - 0.3]), np.array([place + 0.3])), "ground", 1)
    chart.cells((lower, upper), (np.array([place - 0.3]), np.array([place + 0.3])), "accent", 0.4)
    chart.line([middle[0], middle[0]], [place - 0.3, place + 0.3], width=2)


def _cloud(
    chart: Chart, x: Array, y: Array, line_x: Sequence[float], line_y: Sequence[float]
) -> None:
    """Draw rows as points, or many as counts in a grid, and a dashed line."""
    if len(x) <= POINTS:
        chart.line(line_x, line_y, "warn", width=1, dashed=True)
        chart.points(x, y, alpha=0.7)
        return
    counts, across, up = np.histogram2d(x, y, BINS)
    step = max(math.log(counts.max()) / len(SHADES), 1e-9)
    shade = np.minimum(np.log(np.maximum(counts, 1)) // step, len(SHADES) - 1)
    for place, alpha in enumerate(SHADES):
        i, j = np.nonzero((counts > 0) & (shade == place))
        chart.cells((across[i], across[i + 1]), (up[j], up[j + 1]), "accent", alpha)
    chart.line(line_x, line_y, "warn", width=1, dashed=True)


def _decades(values: Sequence[float]) -> Array:
    """Take decimal logarithms; 0 is drawn a decade below the smallest positive value."""
    found = np.array(values, np.float64)
    positive = found[(found > 0) & np.isfinite(found)]
    least = positive.min() if len(positive) else 1.0
    clipped = np.clip(np.nan_to_num(found, nan=np.inf), 0, np.finfo(np.float64).max)
    return np.where(clipped > 0, np.log10(np.maximum(clipped, least)), math.log10(least) - 1)


def _decade_axis(shown: Array, label: str) -> Axis:
    """Make an axis of decimal logarithms, with the numbers themselves at the ticks."""
    low, high = float(np.min(shown)), float(np.max(shown))
    if high - low < 0.05:
        low, high = low - 0.05, high + 0.05
    margin = 0.06 * (high - low)
    ticks = _round_numbers(low, high)
    if len(ticks) < 2:
        ticks = np.linspace(low, high, 4).tolist()
    plain = all(math.floor(tick) in PLAIN for tick in ticks)
    texts = [number(10.0**tick) if plain else _power(tick) for tick in ticks]
    return Axis(low - margin, high + margin, list(zip(ticks, texts, strict=True)), label)


def _round_numbers(low: float, high: float) -> list[float]:
    """List the decimal logarithms of a few round numbers between two limits."""
    step = math.ceil((high - low) / 6)
    digits = (1,) if high - low > 2 else (1, 3) if high - low > 1 else (1, 2, 5)
    decades = range(math.floor(low / step) * step, math.ceil(high) + 1, step)
    found = [decade + math.log10(digit) for decade in decades for digit in digits]
    return [tick for tick in found if low - 1e-9 <= tick <= high + 1e-9]


def _power(tick: float) -> str:
    """Format 10^tick, even beyond the range of float64."""
    decade = math.floor(tick + 1e-9)
    return f"{10 ** (tick - decade):.3g}e{decade}"

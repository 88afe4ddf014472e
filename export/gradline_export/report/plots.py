"""The plots of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gradline.formatting import isolated, number, scientific
from gradline_export.report.svg import ACCENT, LINE, TEXT, WARN, plot_as_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
POINTS = 200  # rows drawn as points; more are counted
BINS = 24  # in each direction
STEPS = 50  # shades of a correlation
SHADES = (0.12, 0.25, 0.4, 0.6, 0.85)  # of counts, on a logarithmic scale
LETTERS = 24  # of a name beside a plot
FEW = 10  # columns of a map with written numbers
FAINT = 0.45  # the strongest colour on which text is readable, in either theme
PLAIN = range(-3, 6)  # decades written without an exponent


def loss_plot(history: Sequence[float], optimum: float | None) -> Markup:
    """Plot the loss by epoch on a logarithmic scale, with the lowest possible loss as a line."""

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        losses = _decades(history)
        marker = "o" if len(history) <= 30 else ""
        axes.plot(range(1, len(history) + 1), losses, color=ACCENT, marker=marker, markersize=4)
        shown = losses
        if optimum:
            least = math.log10(optimum)
            axes.axhline(least, color=WARN, linestyle="--", linewidth=1)
            shown = np.append(losses, least)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlim(0.5, len(history) + 0.5)
        _decade_ticks(axes, shown)
        axes.set(xlabel="epoch", ylabel="loss")

    return plot_as_svg("loss", "The loss of each epoch, on a logarithmic scale", paint)


def prediction_plot(name: str, target: str, actual: Array, predicted: Array) -> Markup:
    """Plot predicted against actual values: points, or counts if there are many."""

    def paint(axes: Axes) -> None:
        decade = _decade(np.append(actual, predicted))
        x, y = actual / decade, predicted / decade
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        margin = 0.04 * (high - low) or 1.0
        ends = (low - margin, high + margin)
        axes.plot(ends, ends, color=WARN, linestyle="--", linewidth=1)
        _cloud(axes, x, y)
        axes.set(xlim=ends, ylim=ends)
        axes.set(xlabel=f"actual {_short(target)}{_times(decade)}", ylabel="predicted")

    return plot_as_svg(name, f"Predicted against actual values of {target}", paint)


def residual_plot(name: str, target: str, actual: Array, predicted: Array) -> Markup:
    """Plot actual − predicted over predicted values: points, or counts if there are many."""

    def paint(axes: Axes) -> None:
        wide, high = _decade(predicted), _decade(actual - predicted)
        axes.axhline(0, color=WARN, linestyle="--", linewidth=1)
        _cloud(axes, predicted / wide, (actual - predicted) / high)
        axes.set(
            xlabel=f"predicted {_short(target)}{_times(wide)}", ylabel=f"residual{_times(high)}"
        )

    return plot_as_svg(name, f"Residuals of {target} over predicted values", paint)


def coefficient_plot(
    name: str,
    target: str,
    features: Sequence[str],
    values: Sequence[float],
    reaches: Sequence[float | None],
) -> Markup:
    """Plot standardized coefficients, the first at the top, with half the width of their intervals.

    The unit is deviations of the target per deviation of the feature.
    """

    def paint(axes: Axes) -> None:
        places = np.arange(len(values))[::-1]
        axes.axvline(0, color=LINE, linewidth=1)
        ends = [0.0 if reach is None else reach for reach in reaches]
        axes.errorbar(values, places, xerr=ends, fmt="o", color=ACCENT, markersize=4, capsize=0)
        axes.set_yticks(places, [_short(feature) for feature in features])
        axes.set_ylim(-0.7, len(values) - 0.3)
        axes.tick_params(axis="y", length=0, labelcolor=TEXT)
        # Aligned to the right, so that it stays inside the plot.
        axes.set_xlabel("deviations of the target per deviation", loc="right")

    known = any(reach is not None for reach in reaches)
    title = f"Standardized coefficients of {target}{', with confidence intervals' * known}"
    return plot_as_svg(name, title, paint, height=70 + 18 * len(values))


def correlation_plot(names: Sequence[str], correlations: Array) -> Markup:
    """Draw correlations as a map: strong ones dark, negative ones in the other colour."""
    p = len(names)

    def paint(axes: Axes) -> None:
        i, j = np.nonzero(np.tri(p, k=-1) * np.isfinite(correlations))
        values = correlations[i, j]
        shades = np.round(np.abs(values) * STEPS).astype(int)
        for colour, signed in ((ACCENT, values > 0), (WARN, values < 0)):
            for shade in range(1, STEPS + 1):
                chosen = signed & (shades == shade)
                alpha = shade / STEPS * (FAINT if p <= FEW else 1)
                ends = (j[chosen], j[chosen] + 0.94), (i[chosen], i[chosen] + 0.94)
                _cells(axes, *ends, color=colour, alpha=alpha)
        if p <= FEW:
            for row, column, value in zip(i, j, values, strict=True):
                shown = f"{round(value, 2) + 0.0:.2f}"  # no -0.00
                middle = (column + 0.47, row + 0.47)
                axes.text(*middle, shown, ha="center", va="center", fontsize=8)
        axes.set(xlim=(0, p - 1), ylim=(p, 1))
        axes.set_xticks(np.arange(p - 1) + 0.5, [_short(n) for n in names[:-1]], rotation=90)
        axes.set_yticks(np.arange(1, p) + 0.5, [_short(n) for n in names[1:]])
        axes.tick_params(length=0, labelcolor=TEXT)
        for spine in axes.spines.values():
            spine.set_visible(False)

    side = 150 + max(18 * p, 90)
    return plot_as_svg("correlations", "Correlations of the columns", paint, side, side)


def ridge_plot(path: Mapping[str, Any]) -> Markup:
    """Plot the cross-validated error over the penalty, with a band of ± one standard error."""

    def paint(axes: Axes) -> None:
        penalties = np.log10(path["penalties"])
        errors, spread = np.array(path["errors"]), np.array(path["standard_errors"])
        axes.fill_between(penalties, errors - spread, errors + spread, color=ACCENT, alpha=0.2)
        axes.plot(penalties, errors, color=ACCENT)
        place = path["penalties"].index(path["chosen"])
        axes.plot(penalties[place], errors[place], "o", color=WARN)
        _decade_ticks(axes, penalties, "x")
        axes.set(xlabel="penalty", ylabel="error")

    return plot_as_svg("ridge", "Cross-validated error by ridge penalty", paint)


def _cloud(axes: Axes, x: Array, y: Array) -> None:
    """Draw few rows as points; count many in the cells of a grid."""
    if len(x) <= POINTS:
        axes.plot(x, y, "o", color=ACCENT, markersize=4, alpha=0.7)
        return
    counts, across, up = np.histogram2d(x, y, BINS)
    step = max(math.log(counts.max()) / len(SHADES), 1e-9)
    shade = np.minimum(np.log(np.maximum(counts, 1)) // step, len(SHADES) - 1)
    for place, alpha in enumerate(SHADES):
        i, j = np.nonzero((counts > 0) & (shade == place))
        ends = (across[i], across[i + 1]), (up[j], up[j + 1])
        _cells(axes, *ends, color=ACCENT, alpha=alpha)
    axes.update_datalim([(across[0], up[0]), (across[-1], up[-1])])
    axes.autoscale_view()


def _cells(
    axes: Axes, across: tuple[Array, Array], up: tuple[Array, Array], *, color: str, alpha: float
) -> None:
    """Draw rectangles between these ends as one path: matplotlib is slow with many artists."""
    if not len(across[0]):
        return
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [(across[a], up[b]) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
    cells = Path.make_compound_path_from_polys(np.transpose(corners, (2, 0, 1)))
    # Not as a patch: matplotlib would compute the limits of every corner.
    axes.add_artist(PathPatch(cells, facecolor=color, alpha=alpha, linewidth=0))


def _decades(values: Sequence[float]) -> Array:
    """Take decimal logarithms; 0 is drawn a decade below the smallest positive value."""
    found = np.array(values, np.float64)
    positive = found[(found > 0) & np.isfinite(found)]
    least = positive.min() if len(positive) else 1.0
    clipped = np.clip(np.nan_to_num(found, nan=np.inf), 0, np.finfo(np.float64).max)
    return np.where(clipped > 0, np.log10(np.maximum(clipped, least)), math.log10(least) - 1)


def _decade_ticks(axes: Axes, shown: Array, which: str = "y") -> None:
    """Label an axis of decimal logarithms with the numbers themselves."""
    low, high = float(np.min(shown)), float(np.max(shown))
    if high - low < 0.05:
        low, high = low - 0.05, high + 0.05
    margin = 0.06 * (high - low)
    limits = (low - margin, high + margin)
    ticks = _round_numbers(low, high)
    if len(ticks) < 2:
        ticks = np.linspace(low, high, 4).tolist()
    plain = all(math.floor(tick) in PLAIN for tick in ticks)
    texts = [number(10.0**tick) if plain else _power(tick) for tick in ticks]
    if which == "x":
        axes.set_xticks(ticks, texts)
        axes.set_xlim(*limits)
    else:
        axes.set_yticks(ticks, texts)
        axes.set_ylim(*limits)


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


def _decade(values: Array) -> float:
    """Choose the power of ten to divide by if numbers are long to write."""
    most = float(np.abs(values).max(initial=0.0))
    place = math.floor(math.log10(most)) if most else 0
    return 1.0 if place in PLAIN else 10.0 ** max(place, -300)


def _times(decade: float) -> str:
    return "" if decade == 1 else f" (×{scientific(decade, 0)})"


def _short(name: str) -> str:
    return isolated(name if len(name) <= LETTERS else name[: LETTERS - 1] + "…")

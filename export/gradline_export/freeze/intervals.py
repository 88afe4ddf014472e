"""Prediction intervals as a second graph: y, lower, upper and leverage by row.

With the R factor of the centred rows, RᵀR = Σw(x − μ)(x − μ)ᵀ, the leverage of a row is
h = 1/Σw + ‖R⁻ᵀ(x − μ)‖² (without a bias ‖R⁻ᵀx‖²), and a new observation lies within
y ± q·s·√(1 + h). Here s is the residual standard deviation and q the Student-t quantile at n − p
degrees of freedom (Seber and Lee, Linear Regression Analysis, 2nd ed., section 5.3). This holds
only at the least-squares optimum. The graph is always float64, because an interval is a small
difference of large numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from gradline.columns.targets import Functions, dump_functions
from gradline.errors import RefusedError, needs_extra
from gradline.package.onnx_runtime import open_session
from gradline.package.rounding_bound import rounding_bound
from gradline_export.freeze.formats import serialize
from gradline_trainer.moments.moments import Moments
from gradline_trainer.result import Fit
from gradline_trainer.statistics.whitening import whitening_of

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
Array = NDArray[np.float64]
U = 2.0**-53


@dataclass(frozen=True)
class Intervals:
    """The figures behind the intervals of d features and k targets, in float64."""

    weights: Array  # W, shape (k, d)
    bias: Array  # b, shape (k,)
    centre: Array  # μ, shape (d,); 0 without a bias
    whitening: Array  # R⁻ᵀ, shape (r, d); 0 for features without a weight of their own
    least: float  # the leverage at the centre: 1/Σw with a bias, else 0
    deviation: Array  # s, shape (k,)
    freedom: int  # n − p

    def record(self, targets: list[str]) -> dict[str, Any]:
        """Build the manifest's entry, with the quantiles of two-sided intervals by level."""
        with needs_extra():
            from scipy.special import stdtrit
        return {
            "degrees_of_freedom": self.freedom,
            "residual_deviation": dict(zip(targets, self.deviation.tolist(), strict=True)),
            "quantiles": {str(p): float(stdtrit(self.freedom, (1 + p) / 2)) for p in LEVELS},
        }

    def to_onnx(self, targets: Sequence[str] = (), functions: Functions = ()) -> bytes:
        """Build the graph: x [N, d] and quantile [] in; y, lower, upper [N, k], leverage [N].

        For a logged target y, lower and upper belong to its logarithm, as the metadata say. Hosts
        take exp of them (log1p: exp − 1). For y, they multiply by the scale first.
        """
        d, k = self.weights.shape[1], len(self.bias)
        constants = {
            "W": self.weights,
            "b": self.bias,
            "centre": self.centre,
            "whitening": np.ascontiguousarray(self.whitening.T),
            "least": np.array(self.least),
            "one": np.array(1.0),
            "deviation": self.deviation,
            "columns": np.array([1], np.int64),
        }
        node = helper.make_node
        nodes = [
            node("Gemm", ["x", "W", "b"], ["y"], transB=1),
            node("Sub", ["x", "centre"], ["step"]),
            node("MatMul", ["step", "whitening"], ["white"]),
            node("ReduceSumSquare", ["white"], ["square"], axes=[1], keepdims=1),
            node("Add", ["square", "least"], ["column"]),
            node("Squeeze", ["column", "columns"], ["leverage"]),
            node("Add", ["column", "one"], ["variance"]),
            node("Sqrt", ["variance"], ["width"]),
            node("Mul", ["width", "quantile"], ["wide"]),
            node("Mul", ["wide", "deviation"], ["half"]),
            node("Sub", ["y", "half"], ["lower"]),
            node("Add", ["y", "half"], ["upper"]),
        ]
        double = onnx.TensorProto.DOUBLE
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes,
            "gradline-intervals",
            [value("x", double, ["N", d]), value("quantile", double, [])],
            [
                *(value(name, double, ["N", k]) for name in ("y", "lower", "upper")),
                value("leverage", double, ["N"]),
            ],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        logged = dump_functions(functions)
        if logged is None:
            return serialize(graph, {})
        properties = {"gradline.target_functions": logged, "gradline.targets": list(targets)}
        return serialize(
            graph, {key: json.dumps(found, ensure_ascii=False) for key, found in properties.items()}
        )


def freeze_intervals(fit: Fit, rows: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    """Make the manifest's entry on intervals and their graph, proved on rows of shape (n, d)."""
    terms = interval_terms(fit)
    record, data = terms.record(fit.targets), terms.to_onnx(fit.targets, fit.target_functions)
    prove_intervals(terms, data, rows, record["quantiles"]["0.95"])
    return record, data


def refuse_intervals(ridge: float | str) -> None:
    """Refuse intervals with a ridge penalty, before the run starts."""
    if ridge:
        raise _refused(
            "a penalty biases the weights by an unknown amount, so no interval would have the "
            "stated level",
            "leave out one of --intervals and --ridge",
        )


def interval_terms(fit: Fit) -> Intervals:
    """Compute the figures behind a fit's intervals; refuse if it has none."""
    refuse_intervals(fit.options.ridge)
    if not isinstance(fit.moments, Moments):
        raise _refused(f"{len(fit.features)} features are too many for their co-moments")
    if not fit.converged:
        if fit.optimality.gap is None:
            raise _refused("rounding hides the optimum", "use --arithmetic exact")
        raise _refused(
            "the run stopped before the optimum", "give more --epochs, or another --preconditioning"
        )
    found = whitening_of(fit)
    rows, total, d = fit.moments.rows, fit.moments.weight, len(fit.features)
    coefficients = len(found.active) + int(found.bias)
    freedom = rows - coefficients
    if freedom < 1:
        raise _refused(
            f"{rows} rows leave no degree of freedom beside {coefficients} coefficients",
            "give more rows",
        )
    whitening = np.zeros((len(found.active), d))
    whitening[:, found.active] = found.factor
    centre = np.zeros(d)
    centre[found.active] = found.centre
    errors = [metrics.rmse_learned for metrics in (fit.metrics["training"] or {}).values()]
    return Intervals(
        fit.weights.numpy(),
        fit.bias.numpy(),
        centre,
        whitening,
        1 / total if found.bias else 0.0,
        np.array(errors) * np.sqrt(total / freedom),
        freedom,
    )


def prove_intervals(terms: Intervals, data: bytes, rows: NDArray[Any], quantile: float) -> None:
    """Check ONNX Runtime's answers on rows of shape (n, d) against NumPy's widest float.

    Both round. The bound on each follows from those of sums (Higham, Accuracy and Stability,
    chapter 3), carried through square and root.
    """
    session = open_session(data)
    x = rows.astype(np.float64)
    names = ["y", "lower", "upper", "leverage"]
    found = session.run(names, {"x": x, "quantile": np.array(quantile)})
    wide = np.longdouble
    step = x.astype(wide) - terms.centre
    white = step @ terms.whitening.T.astype(wide)
    leverage = (white**2).sum(axis=1) + wide(terms.least)
    y = x.astype(wide) @ terms.weights.T.astype(wide) + terms.bias
    half = quantile * np.sqrt(1 + leverage)[:, None] * terms.deviation.astype(wide)
    expected = [y, y - half, y + half, leverage]
    bounds = _bounds(terms, x, np.asarray(white, np.float64), np.asarray(half, np.float64))
    for name, answer, exact, bound in zip(names, found, expected, bounds, strict=True):
        off = np.abs(answer.astype(wide) - exact)
        if not (off <= bound).all():
            row = int(np.argwhere(~(off <= bound))[0][0])
            raise RefusedError(
                f"no parity: {name!r} of intervals.onnx is off by {float(off.max()):.3g} for test "
                f"row {row}",
                code="no-parity",
                hint="nothing was published; try another release of ONNX Runtime",
            )


def _bounds(terms: Intervals, x: Array, white: Array, half: Array) -> list[Array]:
    r, d = terms.whitening.shape
    y = 2 * rounding_bound(x, terms.weights, terms.bias, np.dtype(np.float64))
    off = 2 * (d + 3) * U * (np.abs(x - terms.centre) @ np.abs(terms.whitening).T)
    leverage = (2 * np.abs(white) * off + off**2).sum(axis=1)
    leverage += 2 * (r + 3) * U * ((white**2).sum(axis=1) + terms.least)
    size = 1 + (white**2).sum(axis=1) + terms.least
    halves = half * (leverage / size + 12 * U)[:, None]
    ends = y + halves + 2 * U * half
    return [y, ends, ends, leverage]


def _refused(why: str, hint: str = "leave --intervals out") -> RefusedError:
    return RefusedError(f"no intervals: {why}", code="no-intervals", hint=hint)

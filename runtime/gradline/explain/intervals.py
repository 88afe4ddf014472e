"""Compute prediction intervals from what a package records of its training rows.

A new row's answer lies, with the probability asked for, within y ± t·s·√(1 + h): s is the residual
standard deviation, h the row's leverage, and t the quantile of Student's t distribution at n − p
degrees of freedom (Seber and Lee, Linear Regression Analysis, 2nd ed., section 5.3). This holds at
the least-squares optimum, for rows whose errors are normal and like those of the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline import markup
from gradline.columns.targets import Functions, in_units
from gradline.errors import InputError, PackageError, RefusedError
from gradline.explain import MOST_FEATURES
from gradline.explain.leverage import Leverage, LeverageLimit
from gradline.explain.t_quantile import t_quantile
from gradline.formatting import count, label, number
from gradline.package.files import Package
from gradline.package.graph import UNREADABLE, read_tensor
from gradline.package.protobuf import UnexpectedFieldError, walk

Array = NDArray[np.float64]
CONSTANTS = ("centre", "whitening", "least", "deviation")  # of intervals.onnx
SHOWN, SHOWN_TARGETS = 5, 8  # rows and targets of a prediction


@dataclass(frozen=True)
class Prediction:
    """Predictions of n rows for k targets, with the ends of their intervals.

    Attributes:
        values: What `Model.predict` returns without intervals, shape (n, k).
        lower: The lower ends in the targets' units, float64, shape (n, k); NaN without a value.
        upper: The upper ends.
        level: The probability that a new row's target lies between the ends.
        targets: The k names.
    """

    values: NDArray[Any]
    lower: Array
    upper: Array
    level: float
    targets: list[str]

    def _lines(self) -> tuple[str, list[list[str]]]:
        """Write a title, and the head and the first rows of a table."""
        n = len(self.values)
        title = f"gradline.Prediction of {count(n, 'row')}, with {100 * self.level:g} % intervals"
        shown = self.targets[:SHOWN_TARGETS]
        lines = [["row", *map(label, shown)]]
        for row in range(min(n, SHOWN)):
            ends = zip(self.values[row], self.lower[row], self.upper[row], strict=True)
            cells = [f"{number(v)} ({number(a)} to {number(b)})" for v, a, b in ends]
            lines.append([str(row), *cells[:SHOWN_TARGETS]])
        if n > SHOWN:
            lines.append(["…", *[""] * len(shown)])
        return title, lines

    def __repr__(self) -> str:
        title, lines = self._lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = (
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return "\n".join([title, *(f"  {row}" for row in rows)])

    def _repr_html_(self) -> str:
        title, (head, *rows) = self._lines()
        return markup.block(title, markup.table(head, rows))


@dataclass(frozen=True)
class Intervals:
    """Computes the prediction intervals of a model with k targets."""

    leverage: Leverage
    deviation: Array  # s, shape (k,), of the logarithm for a logged target
    freedom: int  # n − p
    functions: Functions

    @classmethod
    def of(cls, package: Package) -> Intervals:
        """Read them from a package's intervals.onnx, or else from its leverage and statistics.

        Raises:
            RefusedError: If the model has no intervals, with the reason.
            PackageError: If the package contradicts itself.
        """
        graph, manifest = package.graph, package.manifest
        if package.intervals is not None:
            leverage, deviation = _constants(package.intervals, *graph.weights.shape)
            try:
                freedom = int(manifest["intervals"]["degrees_of_freedom"])
            except LookupError as error:
                raise _unusable("intervals", error) from error
        else:
            _refuse(manifest, len(graph.features))
            found = manifest["statistics"]
            known = LeverageLimit.of(manifest, graph.features)
            assert known is not None  # noqa: S101 - `_refuse` checked it
            try:
                deviations = [found["targets"][name]["residual_sd"] for name in graph.targets]
                freedom = found["residual_dof"]
            except LookupError as error:
                raise _unusable("statistics", error) from error
            leverage = known
            deviation = np.array(deviations, np.float64)  # NaN for None
        if freedom < 1 or not np.any(deviation > 0):
            why = "the training rows leave no error to estimate from"
            raise refused(why, "train on more rows")
        return cls(leverage, deviation, freedom, graph.functions)

    def around(
        self, inputs: NDArray[Any], answers: NDArray[Any], level: float
    ) -> tuple[Array, Array]:
        """Compute the ends of intervals around the graph's answers, in the targets' units.

        For a logged target they are exp of z's ends (log1p: exp − 1), without the scale.

        Args:
            inputs: The graph's inputs, shape (n, d).
            answers: What the graph answers for them, shape (n, k).
            level: The probability that a new row's target lies between the ends.

        Returns:
            The lower and the upper ends, float64, each of shape (n, k); NaN for an answer of NaN.

        Raises:
            InputError: For a level that is not between 0 and 1.
        """
        quantile = t_quantile(checked_level(level), self.freedom)
        wide = answers.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            half = np.sqrt(1 + self.leverage(inputs))[:, None] * (quantile * self.deviation)
            lower, upper = wide - half, wide + half
        return (
            in_units(lower, self.functions, scaled=False),
            in_units(upper, self.functions, scaled=False),
        )


def checked_level(level: object) -> float:
    """Check the level of an interval; raise an InputError unless it is between 0 and 1."""
    if isinstance(level, int | float | np.floating) and 0 < level < 1:
        return float(level)
    what = f"the level of an interval is {level!r}, expected a number between 0 and 1"
    raise InputError(what, code="bad-option", hint="0.95 is usual")


def _unusable(member: str, error: LookupError) -> PackageError:
    what = f"the {member} in manifest.json cannot be used ({error!r})"
    return PackageError(what, code="bad-manifest")


def refused(why: str, hint: str) -> RefusedError:
    """Build the error of a model without intervals."""
    return RefusedError(f"no intervals: {why}", code="no-intervals", hint=hint)


def _refuse(manifest: Mapping[str, Any], features: int) -> None:
    """Raise if a package without intervals.onnx has no intervals."""
    training = manifest.get("training")
    if not manifest:
        why = "an ONNX file alone has no record of the training rows"
        raise refused(why, "load the package that it belongs to")
    if training is None:
        why = "the model was learned elsewhere, so its training rows are unknown"
        raise refused(why, "train the model with gradline")
    options = training.get("options", {})
    if options.get("ridge"):
        why = "the ridge penalty biases the weights by an unknown amount"
        raise refused(why, "train without --ridge")
    if options.get("robust"):
        why = "robust standard errors do not assume that all rows have the same variance"
        raise refused(why, "train without --robust")
    if not manifest.get("certificates", {}).get("optimality", {}).get("converged", True):
        raise refused("training stopped before the optimum", "train with more --epochs")
    if features > MOST_FEATURES and "leverage" not in manifest:
        why = f"a model of more than {MOST_FEATURES} features needs intervals.onnx for them"
        raise refused(why, "train and export it again with --intervals")
    if not {"leverage", "statistics"} <= set(manifest):
        why = "the package has no record of its training rows' errors"
        raise refused(why, "train on more rows, and on a table rather than on saved moments")


def _constants(data: bytes, k: int, d: int) -> tuple[Leverage, Array]:
    """Read what intervals.onnx computes with; the file itself is never run."""
    try:
        # ModelProto: 7 graph; GraphProto: 5 initializer; TensorProto: 8 name
        graph = next(value for number, value in walk(data) if number == 7)
        tensors = (_bytes(value) for number, value in walk(_bytes(graph)) if number == 5)
        named = [(_bytes(dict(walk(tensor))[8]).decode(), tensor) for tensor in tensors]
        found = {name: read_tensor(tensor)[1] for name, tensor in named if name in CONSTANTS}
        centre, whitening, least, deviation = (found[name] for name in CONSTANTS)
        shapes = (centre.shape, whitening.shape[:1], least.shape, deviation.shape)
        if shapes != ((d,), (d,), (), (k,)) or whitening.ndim != 2:
            raise ValueError("constants of other shapes")
        if not all(np.isfinite(array).all() for array in found.values()):
            raise ValueError("a constant that is not finite")
    except (UnexpectedFieldError, StopIteration, *UNREADABLE) as error:
        what = f"intervals.onnx is not the graph of prediction intervals ({error})"
        raise PackageError(what, code="not-the-graph") from error
    return Leverage(float(least), centre, whitening), deviation


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("a field that is not a message")
    return value

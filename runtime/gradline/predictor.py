"""Read rows and predict them: what `Model.predict` and the server share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import Gaps, blocks_of_inputs, compute_inputs, plan_of_inputs
from gradline.columns.numpy_state import numpy_defaults
from gradline.columns.python_numbers import hint_for_prediction
from gradline.columns.rows import Rows, read_rows
from gradline.columns.targets import in_units
from gradline.errors import InputError
from gradline.package.files import Package
from gradline.package.onnx_runtime import open_session

if TYPE_CHECKING:
    from gradline.columns.plan import Plan
    from gradline.explain.intervals import Intervals
    from gradline.explain.ranges import Outside, Ranges


class Predictor:
    """A package's model in a session of ONNX Runtime; see `gradline.Model` for the attributes."""

    def __init__(self, package: Package, threads: int) -> None:
        graph = package.graph
        self.features = graph.features
        self.targets = graph.targets
        self.plan = graph.plan
        self.columns = list(graph.plan.columns) if graph.plan.format == 2 else graph.columns
        self.functions = graph.functions
        self.dtype = graph.dtype
        self.manifest = package.manifest
        self.package = package
        self._session = open_session(package.onnx, threads)
        self._width = len(graph.features)
        self._logged = any(graph.functions)
        self._own = plan_of_inputs(graph.plan) if self.columns else graph.plan
        has_fills = any(column.fill is not None for column in self._own.columns)
        self._is_bare = not (has_fills or self._logged)  # the graph's answers are the model's

    def read(self, rows: object, unknown_category: str | None = None) -> Rows:
        """Read rows in any form that `predict` takes.

        Raises:
            InputError: Naming the wrong column, row, shape or dtype.
        """
        try:
            return read_rows(rows, self.plan, self._own, unknown_category, self.dtype)
        except InputError as error:
            hint_for_prediction(error)
            raise

    def answer(
        self, rows: Rows, *, intervals: float | None = None, check: bool = False
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], NDArray[Any]] | None, Outside | None]:
        """Predict rows that were read, without warnings.

        Returns:
            The answers, the ends of the intervals (None without a level) and an `Outside` (None
            without `check`). See `predict`, also for the errors.
        """
        if intervals is None and not check:
            return self.answers_of(rows.values, rows.plan, rows.unknown), None, None
        with numpy_defaults():
            z = self.graph_answers(rows.inputs)
            ends = None if intervals is None else self.intervals.around(rows.inputs, z, intervals)
            outside = self.outside(rows.inputs, rows.gaps) if check else None
        return in_units(z, self.functions), ends, outside

    @cached_property
    def intervals(self) -> Intervals:
        """The computation of the prediction intervals.

        Raises:
            RefusedError: If the model has none, with the reason.
        """
        from gradline.explain.intervals import Intervals

        return Intervals.of(self.package)

    def graph_answers(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Compute x @ W.T + b of the graph's inputs (n, d): the logarithm of a logged target."""
        answers: NDArray[Any] = self._session.run(["y"], {"x": inputs})[0]
        return answers

    def answers_of(self, values: NDArray[Any], plan: Plan, unknown: str) -> NDArray[Any]:
        """Predict values of a plan's columns, shape (n, m), without an array of all terms.

        Args:
            values: As `Plan.compute` takes them; an unknown level is −1.
            plan: The model's plan, or a plan of the graph's inputs.
            unknown: What to do with an unknown level: "missing" or "zero".

        Raises:
            InputError: For a term outside the range of the graph's dtype.
        """
        if plan.is_plain and values.flags.c_contiguous:  # as a caller's rows
            answers = self.graph_answers(compute_inputs(values, plan, unknown, self.dtype))
            return in_units(answers, self.functions)
        answers = np.empty((len(values), len(self.targets)), self.dtype)
        for start, inputs in blocks_of_inputs(values, plan, unknown, self.dtype):
            answers[start : start + len(inputs)] = self.graph_answers(inputs)
        return in_units(answers, self.functions) if self._logged else answers

    def outside(self, inputs: NDArray[Any], gaps: Gaps | None = None) -> Outside:
        """Find the rows outside the training ranges, and those with gaps; see `predict`.

        Args:
            inputs: The graph's inputs, shape (n, d), C-contiguous, in the graph's dtype.
            gaps: The gaps in the rows that the inputs are made of.

        Raises:
            PackageError: If the package has no record of the ranges.
        """
        return self._ranges.outside(inputs, gaps)

    def count_outside(self, inputs: NDArray[Any]) -> int:
        """Count the rows of the graph's inputs that are outside the training ranges."""
        return int(self._ranges.are_outside(inputs).sum())

    @cached_property
    def _ranges(self) -> Ranges:
        from gradline.explain.ranges import Ranges

        return Ranges.of(self.manifest, self.features, self.dtype)

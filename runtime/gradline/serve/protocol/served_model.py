"""A loaded model with what its answers need, computed once."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import blocks_of_inputs, checked_unknown
from gradline.columns.plan import Plan
from gradline.errors import PackageError
from gradline.model import Model

INPUT, OUTPUT = "x", "y"
DATATYPES = {"float32": "FP32", "float64": "FP64"}


class ServedModel:
    """A loaded model and the start of each of its answers."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.version = str(model.version or 1)
        self.datatype = DATATYPES[str(model.dtype)]
        # A model whose only feature is named x takes a column of that name, not a matrix.
        self.width = len(model.features) if model.features != [INPUT] else -1
        name, version = (msgspec.json.encode(text) for text in (model.name, self.version))
        self.start = b'{"model_name":' + name + b',"model_version":' + version
        self.columns = [column.name for column in model.columns] or model.features
        # In format 2, numbers and times can be text, too.
        texts = model.columns
        if model.plan.format == 1:
            texts = [column for column in model.columns if column.kind == "category"]
        self.texts = {column.name for column in texts}
        self.times = {column.name for column in model.columns if column.kind == "time"}
        self.is_plain = model.plan.is_plain  # a row may be a list of numbers
        self.plan_of_matrix = model.read(np.zeros((1, len(model.features)), model.dtype)).plan
        self.has_ranges = _has_ranges(model)

    def count_outside(self, values: NDArray[Any], plan: Plan) -> int:
        """Count the rows outside the training ranges, as `Outside.is_beyond` tells them.

        Args:
            values: The rows' values of the plan's columns, shape (n, m).
            plan: The model's plan, or `plan_of_matrix`.
        """
        unknown = checked_unknown(None, plan)
        return sum(
            self.model.count_outside(inputs)
            for _, inputs in blocks_of_inputs(values, plan, unknown, self.model.dtype)
        )


def _has_ranges(model: Model) -> bool:
    """Check whether a package has a record of the training ranges."""
    try:
        model.outside(np.zeros((1, len(model.features)), model.dtype))
    except PackageError:
        return False
    return True

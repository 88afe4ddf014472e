"""Golden rows of the table's own columns, for whatever computes the terms itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.columns.kinds import Column
from gradline.columns.plan import Plan
from gradline.package.rounding_bound import row_count

Array = NDArray[np.float64]
Values = list[float | str | None]


@dataclass(frozen=True)
class RawRows:
    """Synthetic rows of m columns, n of them, with the exact answers of the model.

    Attributes:
        columns: Each column's values by name: numbers, times in whole seconds, levels; None for a
            missing value.
        outputs: In the targets' units, shape (n, k); NaN where the answer is missing.
        bounds: The largest distance of a correct evaluation from them, shape (n, k).
    """

    columns: Mapping[str, Values]
    outputs: Array
    bounds: Array

    def first(self, n: int | None) -> RawRows:
        """Take the first n rows, or all."""
        columns = {name: values[:n] for name, values in self.columns.items()}
        return RawRows(columns, self.outputs[:n], self.bounds[:n])

    def values(self, plan: Plan) -> Array:
        """Build the values that `Plan.compute` takes, shape (n, m)."""
        columns = [[_value(v, c) for v in self.columns[c.name]] for c in plan.named.columns]
        return np.ascontiguousarray(np.array(columns, np.float64).T)

    def feeds(self, plan: Plan) -> dict[str, NDArray[Any]]:
        """Build the inputs of `pipeline.onnx`, each of shape (n, 1)."""
        found = {}
        for column in plan.named.columns:
            text = column.kind == "category"
            absent = "" if text else math.nan
            values = [absent if v is None else v for v in self.columns[column.name]]
            found[column.name] = np.array(values, object if text else np.float64)[:, None]
        return found

    def document(self) -> str:
        """Write the rows as JSON, with null for what is missing."""
        members = [
            json.dumps(name, ensure_ascii=False) + ": " + json.dumps(values, ensure_ascii=False)
            for name, values in self.columns.items()
        ]
        lines = ['  "columns": {\n   ' + ",\n   ".join(members) + "\n  }"]
        for key in ("outputs", "bounds"):
            rows = [[None if math.isnan(v) else v for v in row] for row in getattr(self, key)]
            body = ",\n".join("   " + json.dumps(row) for row in rows)
            lines.append(f'  "{key}": [\n{body}\n  ]')
        return "{\n" + ",\n".join(lines) + "\n }"

    @classmethod
    def parse(cls, document: Any, plan: Plan, targets: int) -> RawRows:
        """Parse what `document` wrote; raise an error of Python for anything else."""
        columns = document["columns"]
        if list(columns) != [column.name for column in plan.named.columns]:
            raise ValueError("other columns")
        for column in plan.named.columns:
            expected = (str,) if column.kind == "category" else (int, float)
            if not all(v is None or type(v) in expected for v in columns[column.name]):
                raise ValueError(f"values of {column.name!r} that are not of its kind")
        outputs, bounds = (np.array(document[key], np.float64) for key in ("outputs", "bounds"))
        n = len(outputs)
        if not outputs.shape == bounds.shape == (n, targets) or n == 0:
            raise ValueError("outputs of another shape")
        if any(len(values) != n for values in columns.values()):
            raise ValueError("columns of another length")
        return cls(columns, outputs, bounds)


def most_values(plan: Plan, targets: int) -> int:
    """Bound the number of values in the JSON of raw rows."""
    m = len(plan.columns)
    return row_count(m) * (m + 2 * targets + 3) + 2 * m + 20


def _value(value: float | str | None, column: Column) -> float:
    if column.kind != "category":
        return math.nan if value is None else float(value)
    if value is None:
        return float(column.missing_place) if column.missing else math.nan
    return float(column.places.get(str(value), math.nan))

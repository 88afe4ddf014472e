"""Predict a request's rows, and compute what it asks for beside the predictions."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.matrix import to_matrix
from gradline.columns.plan import Plan
from gradline.explain.contributions import Explanation
from gradline.explain.ranges import Outside
from gradline.serve.protocol.messages import Asked
from gradline.serve.protocol.served_model import ServedModel

Array = NDArray[np.float64]


class Found(msgspec.Struct, frozen=True):
    """A model's predictions of n rows, and what else a request asks for.

    Attributes:
        answers: The predictions, shape (n, k), in the model's dtype.
        values: Rows that are not yet compared with the training ranges: their values, shape
            (n, m), and the plan of these columns.
        beyond: The number of rows outside the training ranges, if they were compared.
        ends: The lower and the upper ends of the intervals, each (n, k), if requested.
        explanation: The parts of the predictions, if requested.
        outside: What is outside the training ranges in each row, if requested.
    """

    answers: NDArray[Any]
    values: tuple[NDArray[Any], Plan] | None = None
    beyond: int = 0
    ends: tuple[Array, Array] | None = None
    explanation: Explanation | None = None
    outside: list[str] | None = None


def predict(served: ServedModel, rows: Any, asked: Asked) -> Found:
    """Predict rows: a matrix (n, d) of the graph's inputs, or columns by name.

    Raises:
        InputError: Naming the wrong column and row.
        RefusedError: If intervals are asked for and the model has none.
        PackageError: If the package has no record of the training columns that is needed.
    """
    model = served.model
    if not model.columns:
        rows = to_matrix(rows, model.features, model.dtype)
        if asked.is_nothing:
            return predict_matrix(served, rows)
    read = model.read(rows)
    answers, ends, outside = model.answer(read, intervals=asked.intervals, check=asked.check)
    explanation = model.explain(rows) if asked.explain else None
    if outside is None:
        return Found(answers, (read.values, read.plan), 0, ends, explanation)
    beyond = int(outside.is_beyond.sum())
    return Found(answers, None, beyond, ends, explanation, _texts(outside, len(answers)))


def predict_matrix(served: ServedModel, rows: NDArray[Any]) -> Found:
    """Predict a matrix (n, d) of the graph's inputs."""
    return Found(served.model.predict(rows), (rows, served.plan_of_matrix))


def _texts(outside: Outside, n: int) -> list[str]:
    """Describe what is outside in each of n rows; empty if nothing is."""
    texts = [""] * n
    for place, row in enumerate(outside.rows.tolist()):
        texts[row] = outside.told(place)
    return texts

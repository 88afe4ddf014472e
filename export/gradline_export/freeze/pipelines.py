"""Write `pipeline.onnx` and prove it: raw columns in, answers out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from gradline.columns.encoding import dump_columns
from gradline.columns.plan import Plan
from gradline.columns.targets import dump_functions
from gradline.errors import PackageError, RefusedError
from gradline.model import open_session
from gradline.package.golden import check_raw_rows
from gradline.package.graph import Graph
from gradline.package.pipeline_file import pipeline_bytes
from gradline.package.raw_rows import RawRows
from gradline_export.freeze.parity import BATCHES, HostParity
from gradline_trainer.result import Fit

HOST = "pipeline.onnx in ONNX Runtime"


def schema_of(fit: Fit) -> tuple[dict[str, Any], int]:
    """Describe a fit's columns, terms and target functions; return it with the package format.

    Format 1 is for plain numbers, categories and fill values. A target that is learned as a
    logarithm needs format 2, and with it these columns are described as in format 2.
    """
    plan: Plan = getattr(fit.columns, "plan", None) or Plan.of_columns(fit.columns.inputs)
    functions = dump_functions(getattr(fit, "target_functions", ()))
    if plan.format == 1 and functions is None:
        found = {"columns": dump_columns(fit.columns.inputs)}
        return {key: value for key, value in found.items() if value is not None}, 1
    logged = {} if functions is None else {"target_functions": functions}
    if plan.format == 1 and dump_columns(plan.columns) is None:
        return logged, 2
    columns = tuple(replace(c, levels=tuple(sorted(c.levels))) for c in plan.columns)
    return replace(plan, columns=columns, format=2).dump() | logged, 2


def to_pipeline(graph: Graph) -> bytes:
    """Write `pipeline.onnx` and have onnx check it."""
    data = pipeline_bytes(graph)
    onnx.checker.check_model(data, full_check=True)
    return data


def prove_pipeline(data: bytes, graph: Graph, raw: RawRows) -> HostParity:
    """Run `pipeline.onnx` in ONNX Runtime on the raw golden rows, in batches.

    Raises:
        RefusedError: If an answer is outside its bound.
    """
    session = open_session(data)
    error = share = 0.0
    for size in BATCHES:
        rows = raw.first(size)
        answers = session.run(None, rows.feeds(graph.plan))[0]
        try:
            found = check_raw_rows(rows, answers, graph, HOST)
        except PackageError as wrong:
            raise RefusedError(
                f"no parity of {HOST}: {wrong}",
                code="no-parity",
                hint="nothing was published; try another release of ONNX Runtime",
            ) from wrong
        off = np.abs(answers - rows.outputs)
        error = max(error, float(off[~np.isnan(off)].max(initial=0.0)))
        share = max(share, found)
    return HostParity(HOST, len(raw.outputs), error, share)

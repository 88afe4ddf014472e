"""Write `pipeline.onnx` and prove it: raw columns in, answers out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from gradline.columns.encoding import dump_columns
from gradline.columns.plan import Plan
from gradline.columns.targets import Functions, dump_functions
from gradline.errors import PackageError, RefusedError
from gradline.package.golden import check_raw_rows
from gradline.package.graph import Graph
from gradline.package.onnx_runtime import open_session
from gradline.package.pipeline_file import pipeline_bytes
from gradline.package.raw_rows import RawRows
from gradline_export.freeze.parity import BATCHES, HostParity

HOST = "pipeline.onnx in ONNX Runtime"


def schema_of(plan: Plan, target_functions: Functions = ()) -> tuple[dict[str, Any], int]:
    """Describe columns, terms and target functions; return it with the package format.

    Format 1 is for plain numbers, categories and fill values.
    """
    if plan.format == 1:
        columns = dump_columns(plan.columns)
        return {} if columns is None else {"columns": columns}, 1
    functions = dump_functions(target_functions)
    logged = {} if functions is None else {"target_functions": functions}
    return plan.dump() | logged, 2


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

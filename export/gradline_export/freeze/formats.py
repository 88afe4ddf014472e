"""The learned function as files that other programs load: ONNX, TorchScript, torch.export.

The same W and b give the same bytes: what varies between runs (source paths, random identifiers,
dates, file names) is kept out of each format.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from gradline.columns.encoding import dump_columns
from gradline.columns.kinds import Column
from gradline.columns.targets import Functions, dump_functions
from gradline.errors import InputError
from gradline.package.graph import FORMATS, IR_VERSION, OPSET
from gradline_export.linear import LinearModel


def to_onnx(
    weights: NDArray[Any],
    bias: NDArray[Any],
    name: str,
    features: list[str],
    targets: list[str],
    inputs: Sequence[Column] = (),
    functions: Functions = (),
) -> bytes:
    """Write y = Gemm(x, W, b, transB=1) as a model, for W (k, d) and b (k,) of one dtype."""
    element = helper.np_dtype_to_tensor_dtype(weights.dtype)
    k, d = weights.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "W", "b"], ["y"], transB=1)],
        "gradline",
        [helper.make_tensor_value_info("x", element, ["N", d])],
        [helper.make_tensor_value_info("y", element, ["N", k])],
        [numpy_helper.from_array(weights, "W"), numpy_helper.from_array(bias, "b")],
    )
    properties = {
        "gradline.dtype": str(weights.dtype),
        "gradline.features": json.dumps(features, ensure_ascii=False),
        "gradline.format": str(FORMATS[any(functions)]),
        "gradline.name": name,
        "gradline.targets": json.dumps(targets, ensure_ascii=False),
    }
    columns = dump_columns(inputs)
    if columns is not None:
        properties["gradline.columns"] = json.dumps(columns, ensure_ascii=False)
    logged = dump_functions(functions)
    if logged is not None:
        properties["gradline.target_functions"] = json.dumps(logged)
    return serialize(graph, dict(sorted(properties.items())))


def serialize(graph: onnx.GraphProto, properties: dict[str, str]) -> bytes:
    """Write an ONNX graph and its metadata as a model, checked by onnx."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="gradline",
        model_version=1,
    )
    helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def to_torchscript(weights: NDArray[Any], bias: NDArray[Any]) -> bytes:
    """Build the TorchScript archive of W (k, d) and b (k,)."""
    model = LinearModel(torch.from_numpy(weights), torch.from_numpy(bias))
    buffer = io.BytesIO()
    with without_deprecation_notices():
        script = torch.jit.script(model)
        if not isinstance(script, torch.jit.ScriptModule):
            raise InputError(
                "PYTORCH_JIT=0 in the environment switches TorchScript off: model.pt could not be "
                "written",
                code="no-torchscript",
                hint="start Python again without PYTORCH_JIT",
            )
        torch.jit.save(script, buffer)
    return _reproducible(buffer.getvalue())


@contextmanager
def without_deprecation_notices() -> Iterator[None]:
    """Silence PyTorch's notices that TorchScript is deprecated.

    A package promises that format, and users can do nothing about it. The notices have one
    warning category up to PyTorch 2.13 and another from 2.14 on.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        yield


def to_torch_export(weights: NDArray[Any], bias: NDArray[Any]) -> bytes:
    """Build the torch.export archive of W (k, d) and b (k,), for any number of rows."""
    model = LinearModel(torch.from_numpy(weights), torch.from_numpy(bias))
    example = torch.zeros(2, weights.shape[1], dtype=model.weight.dtype)
    rows = {"x": {0: torch.export.Dim("N", min=0)}}
    program = torch.export.export(model, (example,), dynamic_shapes=rows)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return _reproducible(buffer.getvalue())


def _reproducible(archive: bytes) -> bytes:
    """Rewrite a PyTorch archive uncompressed, sorted, undated, without source paths or its id."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(result, "w") as target:
        for name in sorted(source.namelist()):
            if not name.endswith((".debug_pkl", ".data/serialization_id")):
                target.writestr(zipfile.ZipInfo(name), source.read(name))
    return result.getvalue()


def rounded(values: Tensor, dtype: np.dtype[Any], rest: Tensor | None = None) -> NDArray[Any]:
    """Round a float64 tensor, plus a rest below its last digit, to an array of `dtype`.

    The rest decides if the value is halfway between two numbers of `dtype`, so nothing is rounded
    twice.
    """
    wide = values.numpy()
    near = np.ascontiguousarray(wide.astype(dtype))
    if rest is None:
        return near
    other = np.nextafter(near, np.where(wide > near, np.inf, -np.inf).astype(dtype))
    halfway = (wide != near) & (wide - near == other - wide)
    upper, lower = np.maximum(near, other), np.minimum(near, other)
    beyond = rest.numpy()
    chosen = np.where(beyond > 0, upper, np.where(beyond < 0, lower, near))
    return np.where(halfway, chosen, near)

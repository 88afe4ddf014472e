"""Decode an inference request into the rows to predict and the form of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import WallClock
from gradline.serve.protocol.errors import RequestError, decode, excerpt
from gradline.serve.protocol.messages import (
    Asked,
    InferenceRequest,
    InputTensor,
    RequestedOutput,
    RequestParameters,
    TensorParameters,
)
from gradline.serve.protocol.served_model import INPUT, OUTPUT, ServedModel
from gradline.serve.protocol.tensors import bad_input, from_binary, from_json

OUTPUTS_LIMIT = 1 << 16  # bytes of JSON about the outputs
WHAT = "an inference request"
#: The outputs that each parameter of a request adds.
OPTIONAL = {
    "intervals": ("lower", "upper"),
    "explain": ("contributions",),
    "check": ("outside",),
}


@dataclass(frozen=True)
class Decoded:
    """A decoded inference request."""

    id: str | None
    rows: Any  # for `Model.predict`: a matrix (n, d), or columns by name
    outputs: list[tuple[str, bool]]  # of the answer: name, and whether it is binary
    asked: Asked


_request = msgspec.json.Decoder(InferenceRequest)
_tensor = msgspec.json.Decoder(InputTensor)
_outputs = msgspec.json.Decoder(list[RequestedOutput] | None)


def decode_request(served: ServedModel, body: bytes, json_length: int | None) -> Decoded:
    """Decode a decompressed body, which starts with JSON of `json_length` bytes.

    None means that it is all JSON; 0 that it is only the bytes of one input (Triton's raw binary
    request).
    """
    whole = memoryview(body)
    end = len(body) if json_length is None else json_length
    if json_length == 0:
        request, tensors = _raw_request(served, len(body))
    elif end <= len(body):
        request, tensors = _parse(served, whole[:end])
    else:
        raise RequestError(
            f"Inference-Header-Content-Length is {end}, the body has {len(body)} bytes"
        )
    asked = request.parameters
    outputs = _outputs_of(request, output_names(asked))
    return Decoded(request.id, _rows(served, request, tensors, whole[end:]), outputs, asked)


def output_names(asked: Asked) -> list[str]:
    """List the outputs of an answer."""
    return [OUTPUT, *(n for key, names in OPTIONAL.items() if getattr(asked, key) for n in names)]


def _parse(served: ServedModel, json: memoryview) -> tuple[InferenceRequest, list[InputTensor]]:
    request = decode(_request, json, WHAT)
    most = max(len(served.columns), len(served.model.features))
    if len(request.inputs) > most:
        raise RequestError(f"inputs: {len(request.inputs)}, the model has at most {most}")
    tensors = enumerate(request.inputs)
    return request, [decode(_tensor, raw, WHAT, f".inputs[{i}]") for i, raw in tensors]


def _raw_request(served: ServedModel, size: int) -> tuple[InferenceRequest, list[InputTensor]]:
    """Describe a body that is only the bytes of one input."""
    d = len(served.model.features)
    width = d * served.model.dtype.itemsize
    if size % width:
        raise RequestError(f"{size} bytes are not rows of {d} {served.datatype} values each")
    tensor = InputTensor(INPUT, [size // width, d], served.datatype, TensorParameters(size))
    return InferenceRequest([], parameters=RequestParameters(binary_data_output=True)), [tensor]


def _outputs_of(request: InferenceRequest, names: Sequence[str]) -> list[tuple[str, bool]]:
    """List the outputs to send, and whether each is binary; `names` are those to choose from."""
    if len(request.outputs) > OUTPUTS_LIMIT:
        raise RequestError(f"outputs: more than {OUTPUTS_LIMIT} bytes; there are {_listed(names)}")
    wanted = decode(_outputs, request.outputs, WHAT, ".outputs")
    binary = request.parameters.binary_data_output
    if wanted is None:
        return [(name, binary) for name in names]
    found: dict[str, bool] = {}
    for output in wanted:
        if output.name not in names:
            raise RequestError(_no_output(output.name, names))
        if output.name in found:
            raise RequestError(f"outputs: {output.name!r} appears twice")
        own = output.parameters.binary_data
        found[output.name] = binary if own is msgspec.UNSET else own
    return list(found.items())


def _no_output(name: str, names: Sequence[str]) -> str:
    parameter = next((key for key, outputs in OPTIONAL.items() if name in outputs), None)
    if parameter is None:
        return f"outputs: no output {excerpt(name)}; there are {_listed(names)}"
    value = "0.95" if parameter == "intervals" else "true"
    return f'outputs: for {name!r}, add "parameters": {{"{parameter}": {value}}}'


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _rows(
    served: ServedModel, request: InferenceRequest, tensors: list[InputTensor], binary: memoryview
) -> Any:
    """Decode the input tensors into a matrix (n, d), or into columns by name."""
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise RequestError("inputs: a name appears twice")
    as_matrix = names == [INPUT] and served.columns != [INPUT]
    arrays = {}
    for tensor in tensors:
        _check_fits_model(served, tensor, as_matrix)
        size = tensor.parameters.binary_data_size
        if size is None:
            arrays[tensor.name] = from_json(tensor)
            continue
        if not 0 <= size <= len(binary):
            found = f"{len(binary)} bytes of binary data"
            raise bad_input(tensor, f"binary_data_size is {size}, the body has {found}")
        arrays[tensor.name] = from_binary(tensor, binary[:size])
        binary = binary[size:]
    if len(binary):
        raise RequestError(f"the body has {len(binary)} bytes that belong to no input")
    if as_matrix:
        own = tensors[0].parameters.feature_names
        given = request.parameters.feature_names if own is None else own
        order = feature_order(given, served.model.features)
        return _narrow(served, arrays[INPUT] if order is None else arrays[INPUT][:, order])
    for given in (request.parameters.feature_names, *(t.parameters.feature_names for t in tensors)):
        feature_order(given, names)
    return {t.name: _column(served, t, arrays[t.name]) for t in tensors}


def _check_fits_model(served: ServedModel, tensor: InputTensor, as_matrix: bool) -> None:
    """Check a tensor's type and shape before its values are decoded."""
    shape, width = tensor.shape, len(served.model.features)
    if tensor.datatype == "BYTES" and (as_matrix or tensor.name not in served.texts):
        raise bad_input(tensor, "BYTES; expected numbers")
    if as_matrix and (len(shape) != 2 or shape[1] != width):
        raise bad_input(tensor, f"the shape {excerpt(shape)}; expected [rows, {width}]")
    if not as_matrix and shape[1:] not in ([], [1]):
        expected = f"[rows] or [rows, 1], or a single input {INPUT!r} of all features"
        raise bad_input(tensor, f"the shape {excerpt(shape)}; expected {expected}")


def feature_order(given: list[str] | None, names: Sequence[str]) -> list[int] | None:
    """Return the place of each name in parameters.feature_names; None if those are not given."""
    if given is None:
        return None
    places = {name: place for place, name in enumerate(given)}
    if len(given) != len(names) or places.keys() != set(names):
        expected = excerpt(list(names))
        raise RequestError(f"parameters.feature_names: expected {expected}, in any order")
    return [places[name] for name in names]


def _narrow(served: ServedModel, rows: NDArray[Any]) -> NDArray[Any]:
    """Convert a matrix to the model's dtype; refuse values that overflow."""
    dtype = served.model.dtype
    if rows.dtype == dtype:
        return np.ascontiguousarray(rows)
    if rows.dtype == object:  # integers or booleans beside null
        rows = rows.astype(np.float64)
    with np.errstate(over="ignore"):
        narrow = rows.astype(dtype, order="C")
    overflowed = np.isinf(narrow) & np.isfinite(rows)
    if overflowed.any():
        row, column = np.argwhere(overflowed)[0].tolist()
        place = f"row {row} has a value of {excerpt(served.model.features[column])}"
        raise RequestError(f"input {INPUT!r}: {place} outside the range of {dtype}")
    return narrow


def _column(served: ServedModel, tensor: InputTensor, values: NDArray[Any]) -> Any:
    """Prepare a column's values for the model: text, numbers, or a time's seconds."""
    flat = values.reshape(-1)
    if tensor.name in served.times and tensor.datatype != "BYTES":
        return WallClock(flat.astype(np.float64))
    return flat.tolist() if flat.dtype == object else flat

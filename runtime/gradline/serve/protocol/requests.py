"""Decode an inference request into the rows to predict and the form of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.serve.protocol.errors import RequestError, excerpt
from gradline.serve.protocol.messages import (
    InferenceRequest,
    InputTensor,
    RequestedOutput,
    RequestParameters,
    TensorParameters,
)
from gradline.serve.protocol.served_model import INPUT, OUTPUT, ServedModel
from gradline.serve.protocol.tensors import binary_size, from_binary, from_json

OUTPUTS_LIMIT = 1 << 16  # bytes of JSON about the one output


@dataclass(frozen=True)
class Decoded:
    """A decoded inference request."""

    id: str | None
    rows: Any  # for `Model.predict`: a matrix, or columns by name
    with_output: bool  # whether the answer contains the output
    binary: bool  # whether the output is binary


_request = msgspec.json.Decoder(InferenceRequest)
_tensor = msgspec.json.Decoder(InputTensor)
_outputs = msgspec.json.Decoder(list[RequestedOutput] | None)


def decode_request(served: ServedModel, body: bytes, json_length: int | None) -> Decoded:
    """Decode a request's body for a model.

    Args:
        served: The model.
        body: The whole body, decompressed.
        json_length: The length of the JSON at its start; None if it is all JSON, 0 if it is only
            the bytes of one input (Triton's raw binary request).

    Raises:
        RequestError: The request does not follow the protocol or does not fit the model.
    """
    if json_length == 0:
        request, tensors = _raw_request(served, body)
        binary_data = memoryview(body)
    else:
        request, tensors, binary_data = _parse(served, body, json_length)
    with_output, binary = _output_form(request)
    return Decoded(request.id, _rows(served, request, tensors, binary_data), with_output, binary)


def _parse(
    served: ServedModel, body: bytes, json_length: int | None
) -> tuple[InferenceRequest, list[InputTensor], memoryview]:
    """Split a body into its request, input tensors, and binary data."""
    if json_length is not None and json_length > len(body):
        raise RequestError(
            400, f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes"
        )
    whole = memoryview(body)
    end = len(body) if json_length is None else json_length
    request = _decode(_request, whole[:end])
    most = max(len(served.columns), len(served.model.features))
    if len(request.inputs) > most:
        raise RequestError(400, f"inputs: {len(request.inputs)}, the model has at most {most}")
    tensors = [_decode(_tensor, raw, f".inputs[{i}]") for i, raw in enumerate(request.inputs)]
    return request, tensors, whole[end:]


def _raw_request(served: ServedModel, body: bytes) -> tuple[InferenceRequest, list[InputTensor]]:
    """Describe a body that is only the bytes of one input."""
    d = len(served.model.features)
    width = d * served.itemsize
    if len(body) % width:
        raise RequestError(
            400, f"{len(body)} bytes are not rows of {d} {served.datatype} values each"
        )
    size = TensorParameters(len(body))
    tensor = InputTensor(INPUT, [len(body) // width, d], served.datatype, size)
    return InferenceRequest([], parameters=RequestParameters(binary_data_output=True)), [tensor]


def _decode(decoder: Any, data: Any, place: str = "") -> Any:
    """Decode JSON that stands at a place in a request."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        reason += f" - at `${place}{at or '`'}" if place or at else ""
        raise RequestError(400, f"not an inference request: {reason}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error


def _output_form(request: InferenceRequest) -> tuple[bool, bool]:
    """Return whether the answer contains the output, and whether in binary."""
    if len(request.outputs) > OUTPUTS_LIMIT:
        raise RequestError(
            400, f"outputs: more than {OUTPUTS_LIMIT} bytes; the only output is {OUTPUT!r}"
        )
    outputs = _decode(_outputs, request.outputs, ".outputs")
    binary = request.parameters.binary_data_output
    if outputs is None:
        return True, binary
    for output in outputs:
        if output.name != OUTPUT:
            raise RequestError(
                400, f"outputs: no output {excerpt(output.name)}; the only output is {OUTPUT!r}"
            )
        if output.parameters.binary_data is not msgspec.UNSET:
            binary = output.parameters.binary_data
    if len(outputs) > 1:
        raise RequestError(400, f"outputs: {OUTPUT!r} appears twice")
    return bool(outputs), binary


def _rows(
    served: ServedModel,
    request: InferenceRequest,
    tensors: list[InputTensor],
    binary_data: memoryview,
) -> Any:
    """Decode the input tensors into a matrix, or into columns by name."""
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise RequestError(400, "inputs: a name appears twice")
    as_matrix = names == [INPUT] and served.columns != [INPUT]
    arrays = {}
    for tensor in tensors:
        _check_kind(served, tensor, as_matrix)
        size = binary_size(tensor)
        if size is None:
            arrays[tensor.name] = from_json(tensor)
            continue
        if size > len(binary_data):
            raise RequestError(
                400,
                f"input {excerpt(tensor.name)}: expected {size} bytes of binary data, the body has "
                f"{len(binary_data)}",
            )
        arrays[tensor.name] = from_binary(tensor, binary_data[:size])
        binary_data = binary_data[size:]
    if len(binary_data):
        raise RequestError(400, f"the body has {len(binary_data)} bytes that belong to no input")
    if as_matrix:
        own = tensors[0].parameters.feature_names
        given = request.parameters.feature_names if own is None else own
        order = feature_order(given, served.model.features)
        return _narrow(served, arrays[INPUT] if order is None else arrays[INPUT][:, order])
    for given in (request.parameters.feature_names, *(t.parameters.feature_names for t in tensors)):
        feature_order(given, names)
    return {name: _column(array) for name, array in arrays.items()}


def _check_kind(served: ServedModel, tensor: InputTensor, as_matrix: bool) -> None:
    """Check a tensor's type and shape before its values are decoded."""
    name, shape = tensor.name, tensor.shape
    if tensor.datatype == "BYTES" and (as_matrix or name not in served.categories):
        raise RequestError(400, f"input {excerpt(name)}: BYTES; expected numbers")
    width = len(served.model.features)
    if as_matrix and (len(shape) != 2 or shape[1] != width):
        raise RequestError(
            400, f"input {INPUT!r}: the shape {excerpt(shape)}; expected [rows, {width}]"
        )
    if not as_matrix and shape[1:] not in ([], [1]):
        raise RequestError(
            400,
            f"input {excerpt(name)}: the shape {excerpt(shape)}; expected [rows] or [rows, 1], or "
            f"a single input {INPUT!r} of all features",
        )


def feature_order(given: list[str] | None, names: Sequence[str]) -> list[int] | None:
    """Return the place of each name in parameters.feature_names; None if those are not given."""
    if given is None:
        return None
    places = {name: place for place, name in enumerate(given)}
    if len(given) != len(names) or places.keys() != set(names):
        raise RequestError(
            400, f"parameters.feature_names: expected {excerpt(list(names))}, in any order"
        )
    return [places[name] for name in names]


def _narrow(served: ServedModel, rows: NDArray[Any]) -> NDArray[Any]:
    """Convert a matrix to the model's dtype; refuse values that overflow."""
    dtype = served.model.dtype
    if rows.dtype == dtype:
        return np.ascontiguousarray(rows)
    with np.errstate(over="ignore"):
        narrow = rows.astype(dtype, order="C")
    overflowed = np.isinf(narrow) & np.isfinite(rows)
    if overflowed.any():
        row, column = np.argwhere(overflowed)[0].tolist()
        feature = excerpt(served.model.features[column])
        raise RequestError(
            400, f"input {INPUT!r}: row {row} has a value of {feature} outside the range of {dtype}"
        )
    return narrow


def _column(values: NDArray[Any]) -> Any:
    flat = values.reshape(-1)
    return flat.tolist() if flat.dtype == object else flat

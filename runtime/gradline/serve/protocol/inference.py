"""One inference: a request's bytes in, an answer's bytes out, by the Open Inference Protocol.

Nothing here knows of HTTP but the header that says where the JSON ends and binary tensors begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.categories import UnknownCategoryError
from gradline.errors import InputError, nearest
from gradline.model import Model
from gradline.serve.protocol.errors import RequestError, shown
from gradline.serve.protocol.tensors import (
    LIMITS,
    Tensor,
    TensorParameters,
    binary_size,
    from_binary,
    from_json,
)

__all__ = ["Answer", "Served", "infer"]

INPUT, OUTPUT = "x", "y"
FLOAT32 = LIMITS["FP32"][1]
WIRE = {"float32": "FP32", "float64": "FP64"}
LARGE = 1 << 18  # bytes of a body that is not decoded at once, while other requests wait
OUTPUTS_LIMIT = 1 << 16  # bytes that tell of the one output


class WantedParameters(msgspec.Struct, frozen=True):
    """What is read of an output's parameters."""

    binary_data: bool | msgspec.UnsetType = msgspec.UNSET


class Wanted(msgspec.Struct):
    """An output as a request names it."""

    name: str
    parameters: WantedParameters = WantedParameters()


class RequestParameters(msgspec.Struct, frozen=True):
    """What is read of a request's parameters."""

    binary_data_output: bool = False
    feature_names: list[str] | None = None


class Request(msgspec.Struct):
    """What an inference request's JSON holds; what may be long of it is not decoded yet."""

    inputs: list[msgspec.Raw]
    id: str | None = None
    outputs: msgspec.Raw = msgspec.Raw(b"null")
    parameters: RequestParameters = RequestParameters()


class UsualTensor(msgspec.Struct, forbid_unknown_fields=True):
    """The one input of a usual request."""

    name: Literal["x"]
    shape: tuple[int, int]
    datatype: Literal["FP32", "FP64"]
    data: list[float]


class UsualRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A request of one flat tensor and nothing else, which is checked as it is read."""

    inputs: tuple[UsualTensor]
    id: str | None = None


class Served:
    """A loaded model, and what every answer of it begins with."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.version = str(model.version or 1)
        self.datatype = WIRE[str(model.dtype)]
        self.datatype_bytes = self.datatype.encode()
        self.width = len(model.features) if model.features != [INPUT] else -1
        self.itemsize = model.dtype.itemsize
        name, version = (msgspec.json.encode(text) for text in (model.name, self.version))
        self.start = b'{"model_name":' + name + b',"model_version":' + version
        self.columns = [column.name for column in model.columns] or model.features
        self.categories = {column.name for column in model.columns if column.kind == "category"}


@dataclass(frozen=True)
class Answer:
    """What an inference gives.

    Attributes:
        body: JSON, and binary tensors behind it.
        json_length: The JSON's bytes; None where there is nothing behind it.
        rows: That were predicted.
    """

    body: bytes
    json_length: int | None
    rows: int


_request = msgspec.json.Decoder(Request)
_usual_request = msgspec.json.Decoder(UsualRequest)
_tensor = msgspec.json.Decoder(Tensor)
_outputs = msgspec.json.Decoder(list[Wanted] | None)


def infer(served: Served, body: bytes, json_length: int | None) -> Answer:
    """Return the model's answer to a request.

    Args:
        served: The model.
        body: The request's, whole and inflated.
        json_length: The bytes of JSON that it begins with; None for all of it, 0 for a single
            input's bytes alone, which is Triton's raw form.

    Raises:
        RequestError: Saying which field is at fault.
    """
    usual = _usual(served, body) if json_length is None and len(body) < LARGE else None
    if usual is not None:
        return _in_json(served, usual[0].id, served.model.predict(usual[1]))
    request, tensors, rest = _parse(served, body, json_length)
    wanted, binary = _wanted(request)
    rows = _rows(served, request, tensors, rest)
    try:
        answers = served.model.predict(rows)
    except InputError as error:
        raise _told(error) from error
    if not wanted:
        return Answer(_head(served, request.id) + b"]}", None, len(answers))
    if not binary:
        return _in_json(served, request.id, answers)
    head = _head(served, request.id) + _described(served, answers)
    head += b'"parameters":{"binary_data_size":%d}}]}' % answers.nbytes
    return Answer(head + answers.tobytes(), len(head), len(answers))


def _usual(served: Served, body: bytes) -> tuple[UsualRequest, NDArray[Any]] | None:
    """Return a usual request and its rows, or None for any other and for what is wrong."""
    try:
        request = _usual_request.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    tensor = request.inputs[0]
    values = tensor.data
    n, d = tensor.shape
    if tensor.datatype != served.datatype or d != served.width or n * d != len(values) or n < 1:
        return None
    if served.itemsize == 4 and not (min(values) >= -FLOAT32 and max(values) <= FLOAT32):
        return None
    return request, np.array(values, served.model.dtype).reshape(n, d)


def _head(served: Served, id: str | None) -> bytes:
    """Return what an answer begins with, up to its outputs."""
    told = b"" if id is None else b',"id":' + msgspec.json.encode(id)
    return served.start + told + b',"outputs":['


def _described(served: Served, answers: NDArray[Any]) -> bytes:
    start = b'{"name":"y","datatype":"%b","shape":[%d,%d],'
    return start % (served.datatype_bytes, *answers.shape)


def _in_json(served: Served, id: str | None, answers: NDArray[Any]) -> Answer:
    """Return the answer in JSON alone."""
    data = answers.ravel().tolist()
    if not all(map(isfinite, data)):
        row, target = (int(i) for i in np.argwhere(~np.isfinite(answers))[0])
        raise RequestError(
            422,
            f"the prediction of row {row}, target {served.model.targets[target]!r}, is "
            f"{answers[row, target]}, which JSON can't say; ask for binary output",
        )
    start = _head(served, id) + _described(served, answers)
    body = b'%b"data":%b}]}' % (start, msgspec.json.encode(data))
    return Answer(body, None, len(answers))


def _parse(
    served: Served, body: bytes, json_length: int | None
) -> tuple[Request, list[Tensor], memoryview]:
    """Return what the JSON says, its inputs, and the bytes behind it."""
    if json_length == 0:
        return *_raw(served, body), memoryview(body)
    if json_length is not None and json_length > len(body):
        raise RequestError(
            400, f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes"
        )
    whole = memoryview(body)
    end = len(body) if json_length is None else json_length
    request = _decoded(_request, whole[:end])
    most = max(len(served.columns), len(served.model.features))
    if len(request.inputs) > most:
        raise RequestError(400, f"inputs: {len(request.inputs)}, the model has at most {most}")
    tensors = [_decoded(_tensor, raw, f".inputs[{i}]") for i, raw in enumerate(request.inputs)]
    return request, tensors, whole[end:]


def _decoded(decoder: Any, data: Any, place: str = "") -> Any:
    """Return what JSON holds that stands at a place in a request."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        told, _, at = str(error).partition(" - at `$")
        told += f" - at `${place}{at or '`'}" if place or at else ""
        raise RequestError(400, f"not an inference request: {told}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error


def _raw(served: Served, body: bytes) -> tuple[Request, list[Tensor]]:
    """Return the request that a body of nothing but one input's bytes stands for."""
    d = len(served.model.features)
    width = d * served.itemsize
    if len(body) % width:
        raise RequestError(
            400, f"{len(body)} bytes are not rows of {d} {served.datatype} values each"
        )
    size = TensorParameters(len(body))
    tensor = Tensor(INPUT, [len(body) // width, d], served.datatype, size)
    return Request([], parameters=RequestParameters(binary_data_output=True)), [tensor]


def _wanted(request: Request) -> tuple[bool, bool]:
    """Return whether an output is wanted, and whether in binary."""
    if len(request.outputs) > OUTPUTS_LIMIT:
        raise RequestError(400, f"outputs: more than {OUTPUTS_LIMIT} bytes; there is {OUTPUT!r}")
    outputs = _decoded(_outputs, request.outputs, ".outputs")
    binary = request.parameters.binary_data_output
    if outputs is None:
        return True, binary
    for output in outputs:
        if output.name != OUTPUT:
            raise RequestError(400, f"outputs: no output {shown(output.name)}, there is {OUTPUT!r}")
        if output.parameters.binary_data is not msgspec.UNSET:
            binary = output.parameters.binary_data
    if len(outputs) > 1:
        raise RequestError(400, f"outputs: {OUTPUT!r} is named twice")
    return bool(outputs), binary


def _rows(served: Served, request: Request, tensors: list[Tensor], rest: memoryview) -> Any:
    """Return what `Model.predict` takes: a matrix, or columns by name."""
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise RequestError(400, "inputs: a name stands twice")
    as_matrix = names == [INPUT] and served.columns != [INPUT]
    arrays = {}
    for tensor in tensors:
        _check_kind(served, tensor, as_matrix)
        size = binary_size(tensor)
        if size is None:
            arrays[tensor.name] = from_json(tensor)
            continue
        if size > len(rest):
            raise RequestError(
                400,
                f"input {shown(tensor.name)}: {size} bytes, of which the body has {len(rest)}",
            )
        arrays[tensor.name] = from_binary(tensor, rest[:size])
        rest = rest[size:]
    if len(rest):
        raise RequestError(400, f"the body has {len(rest)} bytes that belong to no input")
    if as_matrix:
        own = tensors[0].parameters.feature_names
        given = request.parameters.feature_names if own is None else own
        order = _order(given, served.model.features)
        return _narrowed(served, arrays[INPUT] if order is None else arrays[INPUT][:, order])
    for given in (request.parameters.feature_names, *(t.parameters.feature_names for t in tensors)):
        _order(given, names)
    return {name: _column(array) for name, array in arrays.items()}


def _check_kind(served: Served, tensor: Tensor, as_matrix: bool) -> None:
    """Raise where a tensor, whose values are not decoded yet, can't be what it is to be."""
    name, shape = tensor.name, tensor.shape
    if tensor.datatype == "BYTES" and (as_matrix or name not in served.categories):
        raise RequestError(400, f"input {shown(name)}: BYTES; expected numbers")
    width = len(served.model.features)
    if as_matrix and (len(shape) != 2 or shape[1] != width):
        raise RequestError(
            400, f"input {INPUT!r}: the shape {shown(shape)}; expected [rows, {width}]"
        )
    if not as_matrix and shape[1:] not in ([], [1]):
        raise RequestError(
            400,
            f"input {shown(name)}: the shape {shown(shape)}; expected [rows] or [rows, 1], or a "
            f"single input {INPUT!r} of all features",
        )


def _order(given: list[str] | None, names: Sequence[str]) -> list[int] | None:
    """Return where in parameters.feature_names each name stands; None where they are not given."""
    if given is None:
        return None
    places = {name: place for place, name in enumerate(given)}
    if len(given) != len(names) or places.keys() != set(names):
        raise RequestError(
            400, f"parameters.feature_names: expected {shown(list(names))}, in any order"
        )
    return [places[name] for name in names]


def _narrowed(served: Served, rows: NDArray[Any]) -> NDArray[Any]:
    dtype = served.model.dtype
    if rows.dtype == dtype:
        return np.ascontiguousarray(rows)
    with np.errstate(over="ignore"):
        narrow = rows.astype(dtype, order="C")
    if rows.dtype.kind == "f" and rows.dtype.itemsize > dtype.itemsize:
        overflowed = np.isinf(narrow) & np.isfinite(rows)
        if overflowed.any():
            row, column = np.argwhere(overflowed)[0].tolist()
            raise RequestError(
                400,
                f"input {INPUT!r}: row {row} has a value of {shown(served.model.features[column])} "
                f"outside the range of {dtype}, in which the model computes",
            )
    return narrow


def _column(values: NDArray[Any]) -> Any:
    """Return a named tensor as the column of a table."""
    flat = values.reshape(prod(values.shape))
    return flat.tolist() if flat.dtype == object else flat


def _told(error: InputError) -> RequestError:
    """Return what a client is told of rows that can't be predicted."""
    if isinstance(error, UnknownCategoryError):
        return RequestError(
            400,
            f"input {error.column!r}: the unknown category {shown(error.text)} in row {error.row} "
            f"({nearest(error.text, error.known)}; all are in the model's metadata, in "
            "properties.encoding)",
        )
    hint = f" ({error.hint})" if error.hint else ""
    return RequestError(400, f"inputs: {error}{hint}"[:2000])

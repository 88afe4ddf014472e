"""One inference: a request's bytes in, an answer's bytes out, by the Open Inference Protocol.

Nothing here knows of HTTP but the header that says where the JSON ends and binary tensors begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.errors import InputError
from gradline.model import Model
from gradline.serve.failures import RequestError
from gradline.serve.tensors import LIMITS, Tensor, binary_size, from_binary, from_json

__all__ = ["Answer", "Served", "infer"]

INPUT, OUTPUT = "x", "y"
FLOAT32 = LIMITS["FP32"][1]
WIRE = {"float32": "FP32", "float64": "FP64"}


class Wanted(msgspec.Struct):
    """An output as a request names it."""

    name: str
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct):
    """What an inference request's JSON holds."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] = {}


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
    usual = _usual(served, body) if json_length is None else None
    if usual is not None:
        return _in_json(served, usual[0].id, served.model.predict(usual[1]))
    request, rest = _parse(served, body, json_length)
    binary = _wants_binary(request)
    rows = _rows(served, request, rest)
    try:
        answers = served.model.predict(rows)
    except InputError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise RequestError(400, f"inputs: {error}{hint}") from error
    if request.outputs == []:
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


def _parse(served: Served, body: bytes, json_length: int | None) -> tuple[Request, memoryview]:
    """Return what the JSON says, and the bytes behind it."""
    if json_length == 0:
        return _raw(served, body), memoryview(body)
    if json_length is not None and json_length > len(body):
        raise RequestError(
            400, f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes"
        )
    whole = memoryview(body)
    end = len(body) if json_length is None else json_length
    try:
        return _request.decode(whole[:end]), whole[end:]
    except msgspec.ValidationError as error:
        raise RequestError(400, f"not an inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error


def _raw(served: Served, body: bytes) -> Request:
    """Return the request that a body of nothing but one input's bytes stands for."""
    d = len(served.model.features)
    width = d * served.itemsize
    if len(body) % width:
        raise RequestError(
            400, f"{len(body)} bytes are not rows of {d} {served.datatype} values each"
        )
    sizes = {"binary_data_size": len(body)}
    tensor = Tensor(INPUT, [len(body) // width, d], served.datatype, sizes)
    return Request([tensor], parameters={"binary_data_output": True})


def _wants_binary(request: Request) -> bool:
    """Return whether the output is to be binary, the names of the outputs checked."""
    wanted = request.parameters.get("binary_data_output", False)
    for output in request.outputs or ():
        if output.name != OUTPUT:
            raise RequestError(400, f"outputs: no output {output.name!r}, there is {OUTPUT!r}")
        wanted = output.parameters.get("binary_data", wanted)
    if len(request.outputs or ()) > 1:
        raise RequestError(400, f"outputs: {OUTPUT!r} is named twice")
    if not isinstance(wanted, bool):
        raise RequestError(400, "outputs: binary_data is not true or false")
    return wanted


def _rows(served: Served, request: Request, rest: memoryview) -> Any:
    """Return what `Model.predict` takes: a matrix, or columns by name."""
    names = [tensor.name for tensor in request.inputs]
    if len(set(names)) != len(names):
        raise RequestError(400, "inputs: a name stands twice")
    arrays = {}
    for tensor in request.inputs:
        size = binary_size(tensor)
        if size is None:
            arrays[tensor.name] = from_json(tensor)
            continue
        if size > len(rest):
            raise RequestError(
                400, f"input {tensor.name!r}: {size} bytes, of which the body has {len(rest)}"
            )
        arrays[tensor.name] = from_binary(tensor, rest[:size])
        rest = rest[size:]
    if len(rest):
        raise RequestError(400, f"the body has {len(rest)} bytes that belong to no input")
    if names == [INPUT] and served.columns != [INPUT]:
        return _matrix(served, request, arrays[INPUT])
    return {name: _column(name, array) for name, array in arrays.items()}


def _matrix(served: Served, request: Request, rows: NDArray[Any]) -> NDArray[Any]:
    """Return the input's rows in the features' order and the graph's dtype."""
    features = served.model.features
    if rows.dtype == object:
        raise RequestError(400, f"input {INPUT!r}: BYTES; expected numbers")
    if rows.ndim != 2 or rows.shape[1] != len(features):
        raise RequestError(
            400,
            f"input {INPUT!r}: the shape {list(rows.shape)}; expected [rows, {len(features)}]",
        )
    given = request.inputs[0].parameters.get("feature_names")
    given = request.parameters.get("feature_names") if given is None else given
    if given is not None and given != features:
        if not isinstance(given, list) or sorted(map(str, given)) != sorted(features):
            raise RequestError(400, f"parameters.feature_names: expected {features}, in any order")
        rows = rows[:, [given.index(name) for name in features]]
    return _narrowed(served, rows)


def _narrowed(served: Served, rows: NDArray[Any]) -> NDArray[Any]:
    dtype = served.model.dtype
    if rows.dtype == dtype:
        return np.ascontiguousarray(rows)
    with np.errstate(over="ignore"):
        narrow = rows.astype(dtype, order="C")
    if rows.dtype.kind == "f" and rows.dtype.itemsize > dtype.itemsize:
        overflowed = np.isinf(narrow) & np.isfinite(rows)
        if overflowed.any():
            raise RequestError(
                400,
                f"input {INPUT!r}: row {int(np.argwhere(overflowed)[0][0])} has a value outside "
                f"the range of {dtype}, in which the model computes",
            )
    return narrow


def _column(name: str, values: NDArray[Any]) -> Any:
    """Return a named tensor as the column of a table."""
    if values.ndim == 2 and values.shape[1] != 1:
        raise RequestError(
            400,
            f"input {name!r}: the shape {list(values.shape)}; expected [rows] or [rows, 1], or a "
            f"single input {INPUT!r} of all features",
        )
    flat = values.reshape(prod(values.shape))
    return flat.tolist() if flat.dtype == object else flat

"""Answer one inference request: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.inputs import unknown_levels, values_by_name
from gradline.columns.unreadable import UnknownCategoryError
from gradline.errors import InputError, nearest
from gradline.serve.protocol.errors import Headers, RequestError, excerpt
from gradline.serve.protocol.requests import decode_request
from gradline.serve.protocol.served_model import ServedModel
from gradline.serve.protocol.tensors import RANGES

JSON: Headers = [(b"content-type", b"application/json")]
LARGEST_FLOAT32 = RANGES["FP32"][1]
LARGE = 1 << 18  # bytes: a larger body is decoded in steps and in a thread, beside other requests


class UsualTensor(msgspec.Struct, forbid_unknown_fields=True):
    """The one input of a usual request."""

    name: Literal["x"]
    shape: tuple[int, int]
    datatype: Literal["FP32", "FP64"]
    data: list[float]


class UsualRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A request with one flat tensor and nothing else. It is checked while it is decoded."""

    inputs: tuple[UsualTensor]
    id: str | None = None


_usual_request = msgspec.json.Decoder(UsualRequest)


@dataclass(frozen=True)
class Answer:
    """The answer to an inference request."""

    headers: Headers
    body: bytes  # JSON, perhaps followed by binary tensors
    rows: int  # predicted


def infer(served: ServedModel, body: bytes, json_length: int | None) -> Answer:
    """Answer a request: its arguments are `decode_request`'s."""
    usual = _decode_usual(served, body) if json_length is None and len(body) < LARGE else None
    if usual is not None:
        return _json_answer(served, usual[0], served.model.predict(usual[1]))
    request = decode_request(served, body, json_length)
    try:
        # Unlike `predict`, `answer` issues no warnings.
        predictions = served.model.answer(served.model.read(request.rows))[0]
    except InputError as error:
        raise _request_error(error) from error
    if not request.with_output:
        return Answer(JSON, _start(served, request.id) + b"]}", len(predictions))
    if not request.binary:
        if np.isnan(predictions).any() and served.model.plan.format == 2:
            raise _no_answer(served, request.rows, predictions)
        return _json_answer(served, request.id, predictions)
    head = _start(served, request.id) + _describe(served, predictions)
    head += b'"parameters":{"binary_data_size":%d}}]}' % predictions.nbytes
    kind = (b"content-type", b"application/octet-stream")
    length = (b"inference-header-content-length", b"%d" % len(head))
    return Answer([kind, length], head + predictions.tobytes(), len(predictions))


def _decode_usual(served: ServedModel, body: bytes) -> tuple[str | None, NDArray[Any]] | None:
    """Return a usual request's id and rows; None for any other request and for a wrong one."""
    try:
        request = _usual_request.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    tensor = request.inputs[0]
    values = tensor.data
    n, d = tensor.shape
    if tensor.datatype != served.datatype or d != served.width or n * d != len(values) or n < 1:
        return None
    is_float32 = tensor.datatype == "FP32"
    if is_float32 and not -LARGEST_FLOAT32 <= min(values) <= max(values) <= LARGEST_FLOAT32:
        return None
    return request.id, np.array(values, served.model.dtype).reshape(n, d)


def _start(served: ServedModel, id: str | None) -> bytes:
    """Encode an answer up to its outputs."""
    id_member = b"" if id is None else b',"id":' + msgspec.json.encode(id)
    return served.start + id_member + b',"outputs":['


def _describe(served: ServedModel, predictions: NDArray[Any]) -> bytes:
    start = b'{"name":"y","datatype":"%b","shape":[%d,%d],'
    return start % (served.datatype.encode(), *predictions.shape)


def _json_answer(served: ServedModel, id: str | None, predictions: NDArray[Any]) -> Answer:
    data = predictions.ravel().tolist()
    if not all(map(isfinite, data)):
        row, target = (int(i) for i in np.argwhere(~np.isfinite(predictions))[0])
        raise RequestError(
            f"the prediction of row {row}, target {served.model.targets[target]!r}, is "
            f"{predictions[row, target]}, which JSON cannot represent; ask for binary output",
            422,
        )
    head = _start(served, id) + _describe(served, predictions)
    return Answer(JSON, head + b'"data":' + msgspec.json.encode(data) + b"}]}", len(predictions))


def _no_answer(served: ServedModel, rows: Any, predictions: NDArray[Any]) -> RequestError:
    """Say which value leaves the first row without an answer, which JSON has no number for."""
    plan = served.model.plan
    row = int(np.argwhere(np.isnan(predictions))[0][0])
    values = values_by_name(rows, plan, "missing")
    why = "a term cannot be computed"
    if values is not None:
        unknown = unknown_levels(values, plan)[row]
        for column, is_unknown, value in zip(plan.columns, unknown, values[row], strict=True):
            if is_unknown:
                text = excerpt(str(np.asarray(rows[column.name]).ravel()[row]))
                why = f"no training row has {text} in {column.name!r}"
                break
            if np.isnan(value) and column.fill is None:
                why = f"{column.name!r} is missing, and no training row missed it"
                break
    return RequestError(
        f"row {row} has no answer: {why}; ask for binary output to get NaN in its place", 422
    )


def _request_error(error: InputError) -> RequestError:
    """Turn the model's error about its rows into an HTTP error."""
    if isinstance(error, UnknownCategoryError):
        return RequestError(
            f"input {error.column!r}: the unknown category {excerpt(error.text)} in row {error.row}"
            f" ({nearest(error.text, error.known)}; the model's metadata list all of them in "
            "properties.encoding)",
        )
    hint = f" ({error.hint})" if error.hint else ""
    return RequestError(f"inputs: {error}{hint}"[:2000])

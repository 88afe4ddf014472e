"""Answer one inference request: bytes in, bytes out."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.unreadable import UnknownCategoryError
from gradline.errors import GradlineError, InputError
from gradline.serve.protocol.errors import RequestError, as_request_error, excerpt, unknown_category
from gradline.serve.protocol.outputs import Answer, answer_in_json, answer_with
from gradline.serve.protocol.predicting import predict, predict_matrix
from gradline.serve.protocol.requests import decode_request
from gradline.serve.protocol.served_model import ServedModel
from gradline.serve.protocol.tensors import RANGES

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


def infer(served: ServedModel, body: bytes, json_length: int | None) -> Answer:
    """Answer a request: its arguments are `decode_request`'s."""
    usual = _decode_usual(served, body) if json_length is None and len(body) < LARGE else None
    if usual is not None:
        return answer_in_json(served, usual[0], predict_matrix(served, usual[1]))
    request = decode_request(served, body, json_length)
    try:
        found = predict(served, request.rows, request.asked)
    except GradlineError as error:
        raise _request_error(error) from error
    return answer_with(served, request.id, found, request.outputs)


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


def _request_error(error: GradlineError) -> RequestError:
    """Turn the model's error about its rows into an HTTP error."""
    if isinstance(error, UnknownCategoryError):
        place = f"input {error.column!r}: the unknown category {excerpt(error.text)}"
        return unknown_category(f"{place} in row {error.row}", error)
    return as_request_error("inputs" if isinstance(error, InputError) else "parameters", error)

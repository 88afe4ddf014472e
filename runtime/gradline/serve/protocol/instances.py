"""Answer rows by name: the protocol that TensorFlow Serving and KServe share (v1).

https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.matrix import to_matrix
from gradline.columns.records import columns_of
from gradline.columns.unreadable import UnknownCategoryError
from gradline.errors import GradlineError, InputError
from gradline.explain.contributions import Explanation
from gradline.serve.protocol.errors import (
    FAULTS,
    RequestError,
    as_request_error,
    decode,
    excerpt,
    unknown_category,
)
from gradline.serve.protocol.messages import PredictRequest, PredictResponse, Scalar
from gradline.serve.protocol.outputs import JSON, Answer, refuse_infinite
from gradline.serve.protocol.predicting import Found, predict
from gradline.serve.protocol.served_model import ServedModel

_request = msgspec.json.Decoder(PredictRequest)
_record = msgspec.json.Decoder(dict[str, Scalar])
_numbers = msgspec.json.Decoder(list[float | None])
ROW = re.compile(r" in row (\d+)(?: of the table)?")  # of a model's error, from 1
KINDS = {dict: "an object", list: "an array", str: "text", bool: "a boolean", type(None): "null"}
ENDS, BASELINE = ("lower", "upper"), "baseline"


def predict_instances(served: ServedModel, body: bytes) -> Answer:
    """Answer a body of JSON: a list of rows, each an object, or a list of plain numbers."""
    request = decode(_request, body, "a prediction request")
    if not request.instances:
        raise RequestError("instances: the list is empty, expected one row or more")
    is_list = served.is_plain and bytes(memoryview(request.instances[0])[:1]) == b"["
    rows = _matrix(served, request.instances) if is_list else _columns(served, request.instances)
    try:
        found = predict(served, rows, request.parameters)
    except GradlineError as error:
        raise _request_error(served, rows, error) from error
    answer = msgspec.json.encode(_response(served, found))  # a NaN becomes null
    return Answer(JSON, answer, len(found.answers), found.beyond, found.values)


def _columns(served: ServedModel, instances: list[msgspec.Raw]) -> dict[str, list[Any]]:
    """Decode instances that are objects into columns by name."""
    records = [_read_record(served, place, raw) for place, raw in enumerate(instances)]
    try:
        return columns_of(records, served.columns, "instance", 0)
    except InputError as error:
        raise as_request_error("", error) from error


def _matrix(served: ServedModel, instances: list[msgspec.Raw]) -> NDArray[Any]:
    """Decode instances that are lists of numbers into a matrix (n, d)."""
    rows = [_read_list(served, place, raw) for place, raw in enumerate(instances)]
    try:
        return to_matrix(np.array(rows, np.float64), served.columns, served.model.dtype)
    except InputError as error:
        raise _request_error(served, {}, error) from error


def _read_record(served: ServedModel, place: int, raw: msgspec.Raw) -> dict[str, Scalar]:
    """Decode one instance: a value for each column."""
    try:
        return _record.decode(raw)
    except FAULTS:
        raise RequestError(f"instance {place}{_record_fault(served, raw)}") from None


def _record_fault(served: ServedModel, raw: msgspec.Raw) -> str:
    try:
        found = msgspec.json.decode(raw)
    except FAULTS as error:
        return f" cannot be read: {str(error).partition(' - at ')[0]}"
    if not isinstance(found, dict):
        named = ", ".join(served.columns[:4]) + ", …" * (len(served.columns) > 4)
        expected = f"expected an object with a value for each column: {named}"
        return f" is {KINDS.get(type(found), 'a number')}, {expected}"
    nested = next(name for name, value in found.items() if isinstance(value, dict | list))
    kind = KINDS[type(found[nested])]
    expected = "expected a number, text, true, false or null"
    return f": the column {excerpt(nested)} holds {kind}, {expected}"


def _read_list(served: ServedModel, place: int, raw: msgspec.Raw) -> list[float | None]:
    """Decode one instance: numbers in the order of the columns."""
    width = len(served.columns)
    try:
        row: list[float | None] = _numbers.decode(raw)
    except FAULTS as error:
        expected = f"expected an array of {width} numbers, like instance 0"
        raise RequestError(f"instance {place}: {expected} ({error})") from None
    if len(row) != width:
        expected = f"expected {width}, one for each of {excerpt(served.columns)}"
        raise RequestError(f"instance {place} has {len(row)} numbers, {expected}")
    return row


def _request_error(served: ServedModel, rows: Any, error: GradlineError) -> RequestError:
    """Turn the model's error into an HTTP error that names the instance, counted from 0."""
    if isinstance(error, UnknownCategoryError):
        place = f"instance {error.row}: the column {error.column!r} has the unknown category"
        return unknown_category(f"{place} {excerpt(error.text)}", error)
    if not isinstance(error, InputError) or error.code == "bad-option":
        return as_request_error("parameters", error)
    text = ROW.sub(lambda row: f" in instance {int(row[1]) - 1}", str(error), count=1)
    if error.code == "not-numeric" and text == str(error):  # a column of plain numbers with text
        text = _text_among_numbers(served, rows) or text
    return as_request_error("", InputError(text, code=error.code, hint=error.command_hint))


def _text_among_numbers(served: ServedModel, columns: dict[str, list[Any]]) -> str:
    for name, values in columns.items():
        for place, value in enumerate(values):
            if isinstance(value, str) and name not in served.texts:
                return (
                    f"the column {name!r} holds {excerpt(value)} in instance {place}, not a number"
                )
    return ""


def _response(served: ServedModel, found: Found) -> PredictResponse:
    targets = served.model.targets
    columns = {name: found.answers[:, j] for j, name in enumerate(targets)}
    for j, name in enumerate(targets):
        for end, values in zip(ENDS, found.ends or (), strict=False):
            _add(columns, f"{name}_{end}", values[:, j], "an interval's end")
    response: PredictResponse = {"predictions": _records(columns)}
    if found.explanation is not None:
        response["explanations"] = _explanations(targets, found.explanation)
    if found.outside is not None:
        response["outside"] = found.outside
    return response


def _records(columns: dict[str, Any]) -> list[dict[str, float | None]]:
    """Turn columns of numbers into records."""
    for name, values in columns.items():
        refuse_infinite(name, values)
    lists = [values.tolist() for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _explanations(
    targets: list[str], found: Explanation
) -> list[dict[str, dict[str, float | None]]]:
    by_target = []
    for j in range(len(targets)):
        parts = {BASELINE: np.full(len(found.by_column), found.baseline[j])}
        for g, name in enumerate(found.columns):
            _add(parts, name, found.by_column[:, j, g], "a column's part")
        by_target.append(_records(parts))
    return [dict(zip(targets, row, strict=True)) for row in zip(*by_target, strict=True)]


def _add(columns: dict[str, Any], name: str, values: Any, what: str) -> None:
    if name in columns:
        raise RequestError(f"parameters: {what} would have the name {name!r} twice; use infer")
    columns[name] = values

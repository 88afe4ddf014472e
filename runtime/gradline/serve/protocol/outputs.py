"""Encode the outputs of an inference answer: JSON, perhaps followed by binary tensors."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.columns.plan import Plan
from gradline.serve.protocol.errors import Headers, RequestError
from gradline.serve.protocol.predicting import Found
from gradline.serve.protocol.served_model import OUTPUT, ServedModel

JSON: Headers = [(b"content-type", b"application/json")]
DATATYPES = {"f": b"FP32", "d": b"FP64", "O": b"BYTES"}  # by the letters of dtypes


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request."""

    headers: Headers
    body: bytes
    rows: int  # predicted
    beyond: int = 0  # of these, outside the training ranges
    values: tuple[NDArray[Any], Plan] | None = None  # rows still to be compared; see `Found`


def answer_in_json(served: ServedModel, id: str | None, found: Found) -> Answer:
    """Answer with the predictions alone."""
    answers = found.answers
    body = _start(served, id) + _in_json(served, OUTPUT, answers) + b"]}"
    return Answer(JSON, body, len(answers), found.beyond, found.values)


def answer_with(
    served: ServedModel, id: str | None, found: Found, outputs: Sequence[tuple[str, bool]]
) -> Answer:
    """Answer with outputs by name, each in JSON or in binary."""
    parts, tensors = [], []
    for name, binary in outputs:
        values = output(found, name)
        if not binary:
            parts.append(_in_json(served, name, values))
            continue
        tensors.append(_packed(values))
        parts.append(
            _described(name, values) + b'"parameters":{"binary_data_size":%d}}' % len(tensors[-1])
        )
    head = _start(served, id) + b",".join(parts) + b"]}"
    headers = JSON
    if tensors:
        kind = (b"content-type", b"application/octet-stream")
        headers = [kind, (b"inference-header-content-length", b"%d" % len(head))]
    body = b"".join([head, *tensors])
    return Answer(headers, body, len(found.answers), found.beyond, found.values)


def output(found: Found, name: str) -> NDArray[Any]:
    """Look up the values of a requested output."""
    values: dict[str, Callable[[], Any]] = {
        OUTPUT: lambda: found.answers,
        "lower": lambda: found.ends and found.ends[0],
        "upper": lambda: found.ends and found.ends[1],
        "contributions": lambda: found.explanation and found.explanation.by_column,
        "outside": lambda: np.array(found.outside, object),
    }
    return values[name]()  # type: ignore[no-any-return]


def refuse_infinite(name: str, values: NDArray[Any], targets: Sequence[str] = ()) -> None:
    """Raise an error for an infinite number, which JSON can't represent; a NaN becomes null.

    If `targets` are given, they are the second dimension.
    """
    if not np.isinf(values).any():
        return
    place = tuple(np.argwhere(np.isinf(values))[0].tolist())
    target = f", target {targets[place[1]]!r}," if targets else ""
    number = f"{name!r} in row {place[0]}{target} is {values[place]}"
    raise RequestError(f"{number}, which JSON cannot represent; ask infer for binary output", 422)


def _start(served: ServedModel, id: str | None) -> bytes:
    """Encode an answer up to its outputs."""
    id_member = b"" if id is None else b',"id":' + msgspec.json.encode(id)
    return served.start + id_member + b',"outputs":['


def _described(name: str, values: NDArray[Any]) -> bytes:
    shape = b",".join([b"%d" % size for size in values.shape])
    datatype = DATATYPES[values.dtype.char]
    return b'{"name":"%b","datatype":"%b","shape":[%b],' % (name.encode(), datatype, shape)


def _in_json(served: ServedModel, name: str, values: NDArray[Any]) -> bytes:
    data = values.ravel().tolist()
    if values.dtype.kind == "f" and not all(map(isfinite, data)):
        refuse_infinite(name, values, served.model.targets)
    return _described(name, values) + b'"data":' + msgspec.json.encode(data) + b"}"


def _packed(values: NDArray[Any]) -> bytes:
    """Encode a tensor's values in binary: each text after its length."""
    if values.dtype.kind == "f":
        return values.tobytes()
    texts = [text.encode() for text in values.tolist()]
    return b"".join([part for text in texts for part in (struct.pack("<I", len(text)), text)])

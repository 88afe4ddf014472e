"""Tensors of the Open Inference Protocol as arrays: from JSON, and from the binary extension.

Types and layouts are those of the protocol (https://github.com/kserve/open-inference-protocol) and
of Triton's binary tensor data extension.
"""

from __future__ import annotations

import re
import struct
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.serve.failures import RequestError

__all__ = ["LIMITS", "Tensor", "binary_size", "from_binary", "from_json"]

DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"{sign}INT{bits}": np.dtype(f"<{sign.lower() or 'i'}{bits // 8}")
       for sign in ("U", "") for bits in (8, 16, 32, 64)},
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}  # fmt: skip
#: What rounds to a finite number of each type: for FP16 and FP32, less than half a step beyond.
LIMITS: dict[str, tuple[Any, Any]] = {
    **{name: (np.iinfo(d).min, np.iinfo(d).max) for name, d in DTYPES.items() if d.kind in "iu"},
    "FP16": (-65519.99999999999, 65519.99999999999),
    "FP32": (-3.4028235677973362e38, 3.4028235677973362e38),
}
NESTED = re.compile(rb"\s*\[\s*\[")
LARGEST = 2**40  # numbers in a shape, far beyond any body's: so that products stay small integers

_flat_floats = msgspec.json.Decoder(list[float])
_nested_floats = msgspec.json.Decoder(list[list[float]])
_flat_integers = msgspec.json.Decoder(list[int])
_nested_integers = msgspec.json.Decoder(list[list[int]])
_flat_booleans = msgspec.json.Decoder(list[bool])
_nested_booleans = msgspec.json.Decoder(list[list[bool]])
_flat_texts = msgspec.json.Decoder(list[str])
_nested_texts = msgspec.json.Decoder(list[list[str]])
DECODERS = {
    "b": (_flat_booleans, _nested_booleans),
    "i": (_flat_integers, _nested_integers),
    "u": (_flat_integers, _nested_integers),
    "f": (_flat_floats, _nested_floats),
    "O": (_flat_texts, _nested_texts),
}


class Tensor(msgspec.Struct):
    """An input as a request describes it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: msgspec.Raw = msgspec.Raw()


def from_json(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor whose data are JSON, flat or nested, in its shape.

    Raises:
        RequestError: Naming the tensor, for values of another type, range or number.
    """
    dtype = _dtype(tensor)
    values = _decoded(tensor, *DECODERS[dtype.kind])
    count = prod(_shape(tensor))
    if values and isinstance(values[0], list):
        widths = set(map(len, values))
        if [len(values), *widths] != tensor.shape:
            raise _bad(tensor, f"data of {len(values)} rows do not have the shape {tensor.shape}")
        values = [value for row in values for value in row]
    if len(values) != count:
        raise _bad(tensor, f"{len(values)} values do not have the shape {tensor.shape}")
    return _array(tensor, dtype, values).reshape(tensor.shape)


def binary_size(tensor: Tensor) -> int | None:
    """Return how many bytes behind the JSON are the tensor's; None where its data are JSON."""
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise _bad(tensor, "binary_data_size is not a number of bytes")
    return size


def from_binary(tensor: Tensor, data: memoryview) -> NDArray[Any]:
    """Return the values of a tensor in the binary extension's layout, in its shape.

    Raises:
        RequestError: Naming the tensor, where the bytes do not fit its type and shape.
    """
    dtype = _dtype(tensor)
    count = prod(_shape(tensor))
    if dtype.kind == "O":
        return _texts(tensor, data, count).reshape(tensor.shape)
    if len(data) != count * dtype.itemsize:
        raise _bad(
            tensor,
            f"{len(data)} bytes are not {tensor.datatype} values of the shape {tensor.shape}",
        )
    return np.frombuffer(data, dtype).reshape(tensor.shape)


def _dtype(tensor: Tensor) -> np.dtype[Any]:
    if tensor.datatype == "BYTES":
        return np.dtype(object)
    dtype = DTYPES.get(tensor.datatype)
    if dtype is None:
        known = ", ".join([*DTYPES, "BYTES"])
        raise _bad(tensor, f"unknown datatype {tensor.datatype!r}; expected one of {known}")
    return dtype


def _shape(tensor: Tensor) -> list[int]:
    if not 1 <= len(tensor.shape) <= 2 or not all(0 <= n <= LARGEST for n in tensor.shape):
        raise _bad(tensor, f"the shape {tensor.shape}; expected [rows] or [rows, columns]")
    return tensor.shape


def _decoded(tensor: Tensor, flat: Any, nested: Any) -> list[Any]:
    if not tensor.data:
        raise _bad(tensor, "no data")
    decoder = nested if NESTED.match(tensor.data) else flat
    try:
        return decoder.decode(tensor.data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad(tensor, f"data are not {tensor.datatype} values ({error})") from error


def _array(tensor: Tensor, dtype: np.dtype[Any], values: list[Any]) -> NDArray[Any]:
    least, most = LIMITS.get(tensor.datatype, (None, None))
    if values and least is not None and not (least <= min(values) and max(values) <= most):
        raise _bad(tensor, f"a value is outside the range of {tensor.datatype}")
    return np.array(values, dtype)


def _texts(tensor: Tensor, data: memoryview, count: int) -> NDArray[Any]:
    """Return texts, each behind its length in four bytes, the lowest first."""
    texts = []
    place = 0
    try:
        while place < len(data):
            (length,) = struct.unpack_from("<I", data, place)
            place += 4 + length
            if place > len(data):
                raise ValueError("the last one is cut short")
            texts.append(bytes(data[place - length : place]).decode())
    except (struct.error, ValueError) as error:
        raise _bad(tensor, f"its bytes are not texts behind their lengths ({error})") from error
    if len(texts) != count:
        raise _bad(tensor, f"{len(texts)} texts do not have the shape {tensor.shape}")
    return np.array(texts, object)


def _bad(tensor: Tensor, what: str) -> RequestError:
    return RequestError(400, f"input {tensor.name!r}: {what}")

"""Tensors of the Open Inference Protocol as arrays: from JSON, and from the binary extension.

Types and layouts are those of the protocol (https://github.com/kserve/open-inference-protocol) and
of Triton's binary tensor data extension.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.serve.protocol.errors import RequestError, shown

__all__ = ["LIMITS", "Tensor", "TensorParameters", "binary_size", "from_binary", "from_json"]

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
PIECE = 1 << 16  # bytes of JSON numbers that are decoded at once, while other requests wait
LARGEST = 2**40  # numbers in a shape, far beyond any body's: so that products stay small integers

_flat_floats = msgspec.json.Decoder(list[float])
_nested_floats = msgspec.json.Decoder(list[list[float]])
_flat_integers = msgspec.json.Decoder(list[int])
_nested_integers = msgspec.json.Decoder(list[list[int]])
_flat_booleans = msgspec.json.Decoder(list[bool])
_nested_booleans = msgspec.json.Decoder(list[list[bool]])
_flat_texts = msgspec.json.Decoder(list[str])
_nested_texts = msgspec.json.Decoder(list[tuple[str]])  # a column's
DECODERS = {
    "b": (_flat_booleans, _nested_booleans),
    "i": (_flat_integers, _nested_integers),
    "u": (_flat_integers, _nested_integers),
    "f": (_flat_floats, _nested_floats),
}


class TensorParameters(msgspec.Struct, frozen=True):
    """What is read of an input's parameters."""

    binary_data_size: int | None = None
    feature_names: list[str] | None = None


class Tensor(msgspec.Struct):
    """An input as a request describes it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: TensorParameters = TensorParameters()
    data: msgspec.Raw = msgspec.Raw()


def from_json(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor whose data are JSON, flat or nested, in its shape.

    Decoding takes long, and nothing else runs meanwhile: so values are counted before it, and
    numbers decoded in pieces.

    Raises:
        RequestError: Naming the tensor, for values of another type, range or number.
    """
    dtype = _dtype(tensor)
    count = prod(_shape(tensor))
    data = bytes(tensor.data).strip()
    if not data:
        raise _bad(tensor, "no data")
    if dtype.kind == "O":
        return np.array(_texts_in_json(tensor, data), object).reshape(tensor.shape)
    nested = NESTED.match(data) is not None
    _check_counts(tensor, data, nested)
    flat_decoder, nested_decoder = DECODERS[dtype.kind]
    parts = []
    row = 0
    for piece in _pieces(data, nested):
        values = _decoded(tensor, nested_decoder if nested else flat_decoder, piece, row)
        row += len(values)
        if nested:
            if set(map(len, values)) != {tensor.shape[-1]}:
                raise _misshaped(tensor, "rows of other widths")
            values = [value for row in values for value in row]
        parts.append(_array(tensor, dtype, values))
    array = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(array) != count:
        raise _misshaped(tensor, f"{len(array)} values")
    return array.reshape(tensor.shape)


def binary_size(tensor: Tensor) -> int | None:
    """Return how many bytes behind the JSON are the tensor's; None where its data are JSON."""
    size = tensor.parameters.binary_data_size
    if size is not None and size < 0:
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
        what = f"{len(data)} bytes are not {tensor.datatype} values of the shape {tensor.shape}"
        raise _bad(tensor, what)
    return np.frombuffer(data, dtype).reshape(tensor.shape)


def _dtype(tensor: Tensor) -> np.dtype[Any]:
    if tensor.datatype == "BYTES":
        return np.dtype(object)
    dtype = DTYPES.get(tensor.datatype)
    if dtype is None:
        known = ", ".join([*DTYPES, "BYTES"])
        raise _bad(tensor, f"unknown datatype {shown(tensor.datatype)}; expected one of {known}")
    return dtype


def _shape(tensor: Tensor) -> list[int]:
    if not 1 <= len(tensor.shape) <= 2 or not all(0 <= n <= LARGEST for n in tensor.shape):
        raise _bad(tensor, f"the shape {shown(tensor.shape)}; expected [rows] or [rows, columns]")
    return tensor.shape


def _check_counts(tensor: Tensor, data: bytes, nested: bool) -> None:
    """Raise where numbers, by their commas and brackets, are not as many as the shape says."""
    values = data.count(b",") + 1
    if values > 1 and values != prod(tensor.shape):
        raise _misshaped(tensor, f"{values} values")
    if nested:
        rows = data.count(b"[") - 1
        if len(tensor.shape) != 2 or rows != tensor.shape[0]:
            raise _misshaped(tensor, f"data of {rows} rows")


def _pieces(data: bytes, nested: bool) -> Iterator[bytes]:
    """Yield a list of numbers, or of rows of them, as several such lists."""
    if len(data) <= PIECE or not data.startswith(b"["):
        yield data
        return
    end = 0
    while end < len(data) - 1:
        start = end + 1
        end = start + PIECE
        if nested:
            end = _found(data, b"]", end)
        end = _found(data, b",", end)
        yield b"[%b]" % data[start:end]


def _found(data: bytes, mark: bytes, start: int) -> int:
    """Return where a mark stands next; the place of the last byte where it does not."""
    place = data.find(mark, start)
    return len(data) - 1 if place < 0 else place


def _texts_in_json(tensor: Tensor, data: bytes) -> list[str]:
    nested = NESTED.match(data) is not None
    if nested and tensor.shape[1:] != [1]:
        raise _misshaped(tensor, "rows of texts")
    quotes = data.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')
    if quotes != 2 * prod(tensor.shape):
        raise _misshaped(tensor, f"{quotes // 2} texts")
    values = _decoded(tensor, _nested_texts if nested else _flat_texts, data)
    return [text for (text,) in values] if nested else values


def _decoded(tensor: Tensor, decoder: Any, data: bytes, start: int = 0) -> list[Any]:
    """Return what a piece of the data holds; errors count its values from `start`."""
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = re.sub(r"(?<=`\$\[)\d+", lambda place: str(start + int(place[0])), str(error))
        raise _bad(tensor, f"data are not {tensor.datatype} values ({told})") from error


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
        raise _misshaped(tensor, f"{len(texts)} texts")
    return np.array(texts, object)


def _misshaped(tensor: Tensor, what: str) -> RequestError:
    return _bad(tensor, f"{what} do not have the shape {tensor.shape}")


def _bad(tensor: Tensor, what: str) -> RequestError:
    return RequestError(400, f"input {shown(tensor.name)}: {what}")

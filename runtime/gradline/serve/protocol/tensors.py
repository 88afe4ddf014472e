"""Decode tensors into arrays: from JSON and from Triton's binary tensor extension."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradline.serve.protocol.errors import RequestError, excerpt
from gradline.serve.protocol.messages import DTYPE_OF, InputTensor

#: The range that rounds to finite values: for FP16 and FP32 up to half a step beyond the largest.
RANGES: dict[str, tuple[Any, Any]] = {
    **{name: (np.iinfo(d).min, np.iinfo(d).max) for name, d in DTYPE_OF.items() if d.kind in "iu"},
    "FP16": (-65519.99999999999, 65519.99999999999),
    "FP32": (-3.4028235677973362e38, 3.4028235677973362e38),
}
NESTED = re.compile(rb"\s*\[\s*\[")
VALUE_END, ROW_END = re.compile(rb","), re.compile(rb"\][^,]*,")
JSON_CHUNK = 1 << 16  # bytes of JSON numbers per decoding step: other requests run in between
MAX_SIZE = 2**40  # per dimension: far beyond any body, and products of two stay small integers

#: For each kind of dtype: decoders of a flat and of a nested list. A null is a missing value.
DECODERS = {
    kind: (msgspec.json.Decoder(flat), msgspec.json.Decoder(nested))
    for kind, flat, nested in (
        ("b", list[bool | None], list[list[bool | None]]),
        ("i", list[int | None], list[list[int | None]]),
        ("u", list[int | None], list[list[int | None]]),
        ("f", list[float | None], list[list[float | None]]),
        ("O", list[str | None], list[tuple[str | None]]),  # a column of text
    )
}


def from_json(tensor: InputTensor) -> NDArray[Any]:
    """Decode the values in a tensor's JSON, flat or nested, into an array of its shape.

    A null becomes NaN; among text, integers and booleans it becomes None, in an array of objects.

    Decoding blocks all other requests. So the values are counted first, and numbers are decoded in
    chunks.
    """
    dtype, count = _check_kind(tensor)
    data = bytes(tensor.data).strip()
    if not data:
        raise bad_input(tensor, "no data")
    nested = NESTED.match(data) is not None
    if dtype.kind == "O":
        return np.array(_decode_texts(tensor, data, nested), object).reshape(tensor.shape)
    _check_counts(tensor, data, nested)
    parts = []
    row = 0
    for chunk in _chunks(data, nested):
        values = _decode(tensor, DECODERS[dtype.kind][nested], chunk, row)
        row += len(values)
        if nested:
            if set(map(len, values)) != {tensor.shape[-1]}:
                raise _misshaped(tensor, "rows of other widths")
            values = [value for row in values for value in row]
        parts.append(_array(tensor, dtype, values, has_null=b"null" in chunk))
    array = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(array) != count:
        raise _misshaped(tensor, f"{len(array)} values")
    return array.reshape(tensor.shape)


def from_binary(tensor: InputTensor, data: memoryview) -> NDArray[Any]:
    """Decode a tensor's binary data into an array of its shape."""
    dtype, count = _check_kind(tensor)
    if dtype.kind == "O":
        return _binary_texts(tensor, data, count).reshape(tensor.shape)
    if len(data) != count * dtype.itemsize:
        kind = f"{tensor.datatype} values of the shape {tensor.shape}"
        raise bad_input(tensor, f"{len(data)} bytes are not {kind}")
    return np.frombuffer(data, dtype).reshape(tensor.shape)


def _check_kind(tensor: InputTensor) -> tuple[np.dtype[Any], int]:
    """Check a tensor's datatype and shape; return its dtype and number of values."""
    dtype, shape = DTYPE_OF.get(tensor.datatype), tensor.shape
    if dtype is None:
        found, known = excerpt(tensor.datatype), ", ".join(DTYPE_OF)
        raise bad_input(tensor, f"unknown datatype {found}; expected one of {known}")
    if not 1 <= len(shape) <= 2 or not all(0 <= n <= MAX_SIZE for n in shape):
        found = excerpt(shape)
        raise bad_input(tensor, f"the shape {found}; expected [rows] or [rows, columns]")
    return dtype, prod(shape)


def _check_counts(tensor: InputTensor, data: bytes, nested: bool) -> None:
    """Compare the number of commas and brackets in JSON numbers with the shape."""
    values = data.count(b",") + 1
    if values > 1 and values != prod(tensor.shape):
        raise _misshaped(tensor, f"{values} values")
    if nested:
        rows = data.count(b"[") - 1
        if len(tensor.shape) != 2 or rows != tensor.shape[0]:
            raise _misshaped(tensor, f"data of {rows} rows")


def _chunks(data: bytes, nested: bool) -> Iterator[bytes]:
    """Split a JSON list of numbers, or of rows, into several such lists."""
    if len(data) <= JSON_CHUNK or not data.startswith(b"["):
        yield data
        return
    separator = ROW_END if nested else VALUE_END
    start, last = 1, len(data) - 1
    while start < last:
        found = separator.search(data, start + JSON_CHUNK)
        end = found.end() - 1 if found else last
        yield b"[%b]" % data[start:end]
        start = end + 1


def _decode_texts(tensor: InputTensor, data: bytes, nested: bool) -> list[str | None]:
    if nested and tensor.shape[1:] != [1]:
        raise _misshaped(tensor, "rows of text")
    quotes = data.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')
    count = prod(tensor.shape)
    if not count - data.count(b"null") <= quotes // 2 <= count:
        raise _misshaped(tensor, f"{quotes // 2} texts")
    values = _decode(tensor, DECODERS["O"][nested], data)
    if len(values) != count:
        raise _misshaped(tensor, f"{len(values)} texts and nulls")
    return [text for (text,) in values] if nested else values


def _decode(tensor: InputTensor, decoder: Any, data: bytes, start: int = 0) -> list[Any]:
    """Decode a chunk whose first value, or row, is number `start` of the tensor."""
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = re.sub(r"(?<=`\$\[)\d+", lambda place: str(start + int(place[0])), str(error))
        raise bad_input(tensor, f"data are not {tensor.datatype} values ({reason})") from error


def _array(
    tensor: InputTensor, dtype: np.dtype[Any], values: list[Any], *, has_null: bool
) -> NDArray[Any]:
    least, most = RANGES.get(tensor.datatype, (None, None))
    known = [value for value in values if value is not None] if has_null else values
    if known and least is not None and not (least <= min(known) and max(known) <= most):
        raise bad_input(tensor, f"a value is outside the range of {tensor.datatype}")
    return np.array(values, object if has_null and dtype.kind != "f" else dtype)


def _binary_texts(tensor: InputTensor, data: memoryview, count: int) -> NDArray[Any]:
    """Decode texts, each after its length in four bytes, little-endian."""
    texts = []
    place = 0
    try:
        while place < len(data):
            (length,) = struct.unpack_from("<I", data, place)
            place += 4 + length
            if place > len(data):
                raise ValueError("the last one is cut off")
            texts.append(bytes(data[place - length : place]).decode())
    except (struct.error, ValueError) as error:
        raise bad_input(tensor, f"its bytes are not lengths and texts ({error})") from error
    if len(texts) != count:
        raise _misshaped(tensor, f"{len(texts)} texts")
    return np.array(texts, object)


def _misshaped(tensor: InputTensor, what: str) -> RequestError:
    return bad_input(tensor, f"{what} do not have the shape {tensor.shape}")


def bad_input(tensor: InputTensor, what: str) -> RequestError:
    """Return the error of an input."""
    return RequestError(f"input {excerpt(tensor.name)}: {what}")

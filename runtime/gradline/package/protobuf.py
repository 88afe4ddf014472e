"""Read and write protobuf messages, field by field, without a library.

Encoding: https://protobuf.dev/programming-guides/encoding. ONNX needs two wire types, numbers and
bytes. `onnx` writes the same bytes for the same message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

Fields = dict[int, list[Any]]


class UnexpectedFieldError(Exception):
    """Names something in a message that should not be there."""


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Write a message of fields: each a number, and a whole number, text or bytes."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return to_varint(number << 3) + to_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return to_varint(number << 3 | 2) + to_varint(len(data)) + data


def to_varint(value: int) -> bytes:
    """Write a 64-bit number in base 128, the lowest digit first."""
    rest, digits = value & (1 << 64) - 1, bytearray()  # two's complement
    while rest > 127:
        digits.append(rest & 127 | 128)
        rest >>= 7
    digits.append(rest)
    return bytes(digits)


def fields(
    data: bytes, where: str, once: set[int], repeated: frozenset[int] = frozenset()
) -> Fields:
    """Collect a message's values by field number; refuse unexpected and repeated numbers."""
    if not isinstance(data, bytes):
        raise UnexpectedFieldError(f"a {where} that is not a message")
    found: Fields = defaultdict(list)
    for number, value in walk(data):
        if number not in once | repeated:
            raise UnexpectedFieldError(
                f"field {number} in the {where}, which a linear model does not have"
            )
        if number in found and number not in repeated:
            raise UnexpectedFieldError(f"field {number} in the {where} twice")
        found[number].append(value)
    return found


def walk(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield a message's fields: number and value."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _varint(data, at)
            if length > len(data) - at:
                raise UnexpectedFieldError("a field that runs past the end of the file")
            yield key >> 3, data[at : at + length]
            at += length
        else:
            raise UnexpectedFieldError(f"a field of wire type {key & 7}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read the base-128 number at a position; return it with the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise UnexpectedFieldError("a number of more than 64 bits")


def varints(data: bytes) -> Iterator[int]:
    """Yield the numbers of a packed list."""
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def one(found: Fields, number: int, what: str) -> Any:
    """Get the only value of a field."""
    values = found.get(number, [])
    if len(values) != 1:
        raise UnexpectedFieldError(f"{len(values)} of {what}, expected one")
    return values[0]

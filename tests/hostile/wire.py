"""Every small change of a protobuf message: a field less, twice, elsewhere, of another type.

https://protobuf.dev/programming-guides/encoding is the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Which fields of onnx.proto's messages are messages again, as far as a linear model has them.
MODEL: dict[int, Any] = {
    7: {1: {5: {}}, 5: {}, 11: {2: {1: {2: {1: {}}}}}, 12: {2: {1: {2: {1: {}}}}}},
    8: {},
    14: {},
}
NUMBERS = [0, 1, 2, 6, 7, 99, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
LENGTHS = [0, 1, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1]
ENDLESS = [b"\x80" * 9, b"\x80" * 64, b"\xff" * 10, b"\x80" * 100_000]
PAYLOADS = [b"", b"\0", b"\xff" * 8, b"\x80" * 8, b"x" * 70_000, b"../../../etc/passwd"]
FOREIGN = [*range(1, 31), 1000, 2**29 - 1, 2**29, 2**61]


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def split(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message that is right."""
    at = 0

    def number() -> int:
        nonlocal at
        start = at
        while data[at] > 127:
            at += 1
        at += 1
        return sum((byte & 127) << 7 * i for i, byte in enumerate(data[start:at]))

    while at < len(data):
        key, value = number(), number()
        if key & 7 == 0:
            yield key >> 3, value
        else:
            yield key >> 3, data[at : at + value]
            at += value


def join(number: int, value: int | bytes) -> bytes:
    """Return a field's bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def changed(data: bytes, messages: dict[int, Any] = MODEL) -> Iterator[bytes]:
    """Yield the message with one change, at any depth."""
    fields = list(split(data))
    parts = [join(*field) for field in fields]
    for i, (number, value) in enumerate(fields):
        before, after = b"".join(parts[:i]), b"".join(parts[i + 1 :])
        for other in field_changes(number, value, parts[i]):
            yield before + other + after
        if number in messages and isinstance(value, bytes):
            for inner in changed(value, messages[number]):
                yield before + join(number, inner) + after
    for foreign in FOREIGN:
        yield data + join(foreign, 1)
        yield join(foreign, b"") + data
    for endless in ENDLESS:
        yield data + endless
        yield data + b"\x08" + endless


def field_changes(number: int, value: int | bytes, part: bytes) -> Iterator[bytes]:
    """Yield what may stand in a field's place."""
    yield from (b"", part + part, part[:-1], part + b"\0")
    for wire in range(8):
        yield varint(number << 3 | wire) + part[1:]
    yield bytes([part[0] | 128, *b"\x80" * 5, 0]) + part[1:]  # the key in too many bytes
    for other in FOREIGN:
        yield join(other, value)
    if isinstance(value, int):
        for instead in NUMBERS:
            yield join(number, instead)
        for endless in ENDLESS:
            yield varint(number << 3) + endless
        return
    for length in LENGTHS:
        yield varint(number << 3 | 2) + varint(length) + value
    for payload in PAYLOADS:
        yield join(number, payload)

"""What happens to files: bits that flip, ends that are missing, files in each other's place."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from hostile.case import Case, Files, planted

FLIPS = 1300  # of a file's bits, at most
LENGTHS = 100  # to which a file is cut
MORE = (b"\0", b"\n", b" ", b"}", b"\xff", b"\x08\x07", b"\0" * 70_000)


def cases(files: Files, chance: random.Random) -> Iterator[Case]:
    """Yield damage of every kind."""
    for name, data in files.items():
        for changed in flipped(data, chance):
            yield Case(f"a bit of {name} flipped", {name: changed})
        for length in some(range(len(data)), LENGTHS, chance):
            yield Case("a file cut", {name: data[:length]})
        for more in MORE:
            yield Case("a file with more at its end", {name: data + more})
            yield Case("a file with more at its start", {name: more + data})
        yield Case("a file twice", {name: data + data})
    for one, other in itertools.permutations(files, 2):
        yield Case("a file in another's place", {one: files[other]})
        yield Case("two files swapped", {one: files[other], other: files[one]})
    for changed in flipped(files["model.onnx"], chance):
        resealed = planted(files, "model.onnx", changed)
        yield Case("a bit of model.onnx flipped, resealed", resealed, refused=False)
        bare = {"model.onnx": changed}
        yield Case("a bit of a bare model.onnx flipped", bare, refused=False, bare=True)


def flipped(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield the data with one bit flipped: each, or a sample."""
    for bit in some(range(8 * len(data)), FLIPS, chance):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def some(places: range, most: int, chance: random.Random) -> list[int]:
    """Return all places, or a sample."""
    return list(places) if len(places) <= most else chance.sample(places, most)

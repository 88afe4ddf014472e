"""Damaged and forged packages by the thousand: `python tests/fuzzing.py SEED FOLDER PACKAGE…`.

Runs in a process of its own, so that a crash, its memory and the files that it opens show. Prints
one JSON object: how many cases of each kind there were, what was wrong with any, and the peak.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import gradline
from gradline.model import Model
from gradline.package import check_files, read_package

Files = dict[str, bytes]
LOADED = ("manifest.json", "model.onnx", "golden.json")
HOSTILE: list[Any] = [
    *(None, True, -1, 0, 2**63, 10**400, 1e308, "", "\0", "../../etc/passwd", "/etc/passwd"),
    *("a" * 100_000, "\ud800", [], {}, [[]], {"": {}}, "model.onnx", "float16", ["x"] * 10_000),
]
#: Ways to make JSON itself hostile: how the manifest's text begins, and what stands there then.
TEXTS = {
    "a key twice": ('{\n "format"', '{\n "name": "orchard",\n "format"'),
    "digits by the million": ('"format": 1', '"format": ' + "1" * 1_000_000),
    "deep nesting": ('"format": 1', '"format": ' + "[" * 200_000 + "]" * 200_000),
    "infinity": ('"format": 1', '"format": Infinity'),
    "not a number": ('"format": 1', '"format": NaN'),
    "a comment": ('"format": 1', '"format": 1 /* one */'),
    "an exponent": ('"format": 1', '"format": 1e999999999'),
}


def sealed(body: bytes) -> bytes:
    """Return a manifest's text, whose seal was cut off, under a seal of the forger's."""
    return body + b'"seal": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def resealed(files: Files, edit: Any = lambda document: None) -> Files:
    """Return the files with a manifest that lists them as they are, sealed again."""
    document = json.loads(files["manifest.json"])
    del document["seal"]
    for name in document["files"]:
        data = files[name]
        document["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit(document)
    text = json.dumps(document, indent=1)
    return {**files, "manifest.json": sealed(text.removesuffix("\n}").encode() + b",\n ")}


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, data: bytes) -> bytes:
    """Return a protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(operator: bytes, *, attributes: bytes = b"") -> bytes:
    return field(1, b"x") + field(2, b"y") + field(4, operator) + attributes


def onnx_forgeries() -> dict[str, bytes]:
    """Return what stands behind or inside a graph that is otherwise right: ONNX's field numbers."""
    external = field(8, b"W") + field(13, field(1, b"location") + field(2, b"planted.bin"))
    external += b"\x70\x01"  # data_location: EXTERNAL
    loop = field(5, field(1, b"body") + field(6, field(1, node(b"Loop"))))
    bomb = field(5, field(1, b"value") + field(5, b"\x08\x01" * 40 + b"\x10\x01"))
    return {
        "a second Gemm": field(7, field(1, node(b"Gemm"))),
        "an endless Loop": field(7, field(1, node(b"Loop", attributes=loop))),
        "a bomb of constants": field(7, field(1, node(b"ConstantOfShape", attributes=bomb))),
        "weights in another file": field(7, field(5, external)),
        "sparse weights": field(7, field(15, field(1, external))),
        "a name twice": field(14, field(1, b"gradline.name") + field(2, b"other")),
        "a local function": field(25, field(1, b"Gemm")),
        "a training step": field(20, field(1, field(1, node(b"Gemm")))),
        "a length without end": b"\x3a" + b"\xff" * 20,
        "a length beyond the end": b"\x3a\xff\xff\xff\xff\x7f",
        "a group": b"\x3b" * 1000,
        "dimensions like stars": field(7, field(5, b"\x08" + b"\xff" * 9 + b"\x01" + external)),
    }


def damage(draw: random.Random, packages: list[Files]) -> Iterator[tuple[str, Files]]:
    """Yield packages with a byte or more that the publisher did not write."""
    for files in packages:
        for name, data in files.items():
            bits = 8 * len(data)
            for bit in draw.sample(range(bits), min(bits, 1400)):
                yield "bit flipped", {**files, name: flipped(data, bit)}
            for _ in range(150):
                yield "file cut", {**files, name: data[: draw.randrange(len(data))]}
                more = draw.randbytes(draw.randint(1, 64))
                yield "file grown", {**files, name: data + more}
        for other in packages:
            for name in files:
                for further in other:
                    if other[further] != files[name]:
                        yield "files swapped", {**files, name: other[further]}
        for name in LOADED:
            yield "file missing", {k: v for k, v in files.items() if k != name}


def forgeries(draw: random.Random, packages: list[Files]) -> Iterator[tuple[str, Files]]:
    """Yield packages that are sealed again around what the forger changed."""
    for files in packages:
        for manifest in hostile_manifests(files):
            if manifest["manifest.json"] != resealed(files)["manifest.json"]:
                yield "manifest forged", manifest
        for forged in onnx_forgeries().values():
            for onnx in (files["model.onnx"] + forged, forged + files["model.onnx"], forged):
                yield "graph forged", resealed({**files, "model.onnx": onnx})


def hostile_manifests(files: Files) -> Iterator[Files]:
    """Yield the files with manifests of hostile members, and of hostile JSON."""
    for *path, last in hostile_places(files):
        for value in HOSTILE:

            def edit(
                document: Any, path: list[str] = path, key: str = last, to: Any = value
            ) -> None:
                for step in path:
                    document = document[step]
                document[key] = to

            yield resealed(files, edit)
    body = re.sub(rb'"seal": "[0-9a-f]{64}"\n\}\n$', b"", files["manifest.json"]).decode()
    for old, new in TEXTS.values():
        assert old in body
        yield {**files, "manifest.json": sealed(body.replace(old, new, 1).encode())}
    yield {**files, "manifest.json": sealed(body.encode("utf-16"))}
    yield {**files, "manifest.json": sealed(body.encode().replace(b"name", b"n\xffme", 1))}


def hostile_places(files: Files) -> list[tuple[str, ...]]:
    """Return the members that the loader goes by."""
    places: list[tuple[str, ...]] = [("format",), ("name",), ("schema",), ("files",)]
    places += [("schema", key) for key in ("features", "targets", "dtype")]
    for name in ("model.onnx", "golden.json"):
        places += [("files", name), ("files", name, "sha256"), ("files", name, "bytes")]
    return [*places, ("files", "../model.onnx"), ("files", "/etc/passwd")]


def may_load(draw: random.Random, packages: list[Files]) -> Iterator[tuple[str, Files]]:
    """Yield forgeries of bytes that may mean nothing, or too little to see: these may load."""
    for files in packages:
        for name in ("model.onnx", "golden.json"):
            bits = 8 * len(files[name])
            for bit in draw.sample(range(bits), min(bits, 500)):
                changed = {**files, name: flipped(files[name], bit)}
                yield "bit flipped, sealed again", resealed(changed)


class Fuzz:
    """Tries cases in a folder, and keeps count."""

    def __init__(self, folder: Path, watched: set[str]) -> None:
        self.folder = folder
        self.watched = watched
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def try_one(self, kind: str, files: Files, *, must_fail: bool) -> None:
        """Load a case, check all of its files, and note what should not have been."""
        for path in self.folder.iterdir():
            if path.name not in files:
                path.unlink()
        for name, data in files.items():
            (self.folder / name).write_bytes(data)
        self.counts[kind] += 1
        self.watched.clear()
        try:
            package = read_package(self.folder)
            check_files(package)
            model = Model(package)
        except gradline.PackageError:
            pass
        except BaseException as error:
            self.wrong.append(f"{kind}: {error!r:.200}")
        else:
            if must_fail:
                self.wrong.append(f"{kind}: it loaded")
            golden = package.golden
            assert golden is not None
            off = np.abs(model.predict(golden.inputs).astype(float) - golden.outputs)
            if not (off <= golden.bounds).all():
                self.wrong.append(f"{kind}: a wrong prediction")
        outside = {path for path in self.watched if not path.startswith(str(self.folder))}
        if outside:
            self.wrong.append(f"{kind}: opened {sorted(outside)[0]}")


def main() -> None:
    """Try all cases."""
    seed, folder, *paths = sys.argv[1:]
    place = Path(folder) / "1"
    place.mkdir(parents=True)
    opened: set[str] = set()
    packages = [{p.name: p.read_bytes() for p in sorted(Path(path).iterdir())} for path in paths]
    fuzz = Fuzz(place, opened)
    fuzz.try_one("as it was published", packages[0], must_fail=False)  # imports what is needed
    assert not fuzz.wrong, fuzz.wrong

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            opened.add(arguments[0])

    sys.addaudithook(watch)
    draw = random.Random(int(seed))
    before = peak()
    for make, must_fail in ((damage, True), (forgeries, True), (may_load, False)):
        for kind, files in make(draw, packages):
            fuzz.try_one(kind, files, must_fail=must_fail)
    shutil.rmtree(place)
    grown = peak() - before
    print(json.dumps({"counts": fuzz.counts, "wrong": fuzz.wrong[:20], "grown": grown}))


def peak() -> int:
    """Return the most memory that this process has held, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]


if __name__ == "__main__":
    main()

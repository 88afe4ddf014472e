"""Forged JSON: hostile values in every place of a manifest, and in some of the golden rows."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from hostile.case import Case, Files, planted, sealed, unsealed

MARK = "the place of what is hostile"
#: What is not JSON, or holds what no file may hold.
NEVER = [
    "NaN", "-Infinity", "1e999", "-1e999", "9" * 5000, "[" * 100_000, '{"a":' * 100_000,
    r'"\ud800"', r'"a\udfffb"', r'["\udc00\ud800"]', '{"a": 1, "a": 1}', '"\x01"', "01", "'a'", ",",
]  # fmt: skip
#: What is JSON, but perhaps not what belongs there.
ODD = [
    "null", "true", "0", "-1", "0.5", "1e308", "-5e-324", str(2**63), str(2**64), str(10**400),
    "9" * 4000, '""', r'"\u0000"', '"../../../etc/passwd"', '"x"', '"' + "x" * 100_000 + '"',
    "[]", "{}", "[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300, "[[1, 2], [3]]",
]  # fmt: skip
#: What takes much more memory than bytes.
HEAVY = ["[],", '{"ab":1},']
CHECKED = ("format", "name", "schema", "files")  # members that a load relies on
MANIFEST_PLACES = 15  # beside those that a load relies on
GOLDEN_PLACES = 25
Path = tuple[Any, ...]


def cases(files: Files, chance: random.Random) -> Iterator[Case]:
    """Yield forged manifests, with a seal of their own and with the old one, and golden rows."""
    document = unsealed(files)
    seal = files["manifest.json"][files["manifest.json"].rindex(b',\n "seal"') :]
    spots = list(places(document))
    spots = [spot for spot in spots if spot[0] in CHECKED] + chance.sample(spots, MANIFEST_PLACES)
    for text, path, what in forged(document, spots):
        refused = what == "never" or (what == "odd" and path[0] in CHECKED)
        resealed = {"manifest.json": sealed(text)}
        yield Case("a forged manifest, resealed", resealed, refused=refused)
        if what == "odd":
            stale = text.rstrip().removesuffix("}").rstrip().encode() + seal
            yield Case("a forged manifest with its old seal", {"manifest.json": stale})
    for heavy in heavy_values():
        text = json.dumps({**document, "more": MARK}, indent=1).replace(f'"{MARK}"', heavy)
        yield Case("a large manifest, resealed", {"manifest.json": sealed(text)}, refused=False)
        yield Case("large golden rows, resealed", planted(files, "golden.json", heavy.encode()))
    for data in whole_texts(files["manifest.json"]):
        yield Case("bytes that are no manifest", {"manifest.json": data})
        golden = planted(files, "golden.json", data)
        yield Case("bytes that are no golden rows, resealed", golden)
    golden = json.loads(files["golden.json"])
    spots = list(places(golden))
    spots = [spot for spot in spots if len(spot) == 1] + chance.sample(spots, GOLDEN_PLACES)
    for text, _, what in forged(golden, spots):
        resealed = planted(files, "golden.json", text.encode())
        yield Case("forged golden rows, resealed", resealed, refused=what == "never")


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the way to every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inside:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


def forged(document: Any, spots: list[Path]) -> Iterator[tuple[str, Path, str]]:
    """Yield texts, where they differ from the document's, and what is there: never, odd, gone."""
    for path in spots:
        marked = copy.deepcopy(document)
        holder = marked
        for key in path[:-1]:
            holder = holder[key]
        original, holder[path[-1]] = holder[path[-1]], MARK
        text = json.dumps(marked, indent=1)
        for value in NEVER:
            yield text.replace(f'"{MARK}"', value), path, "never"
        for value in ODD:
            if json.loads(value) != original or value == "true":
                yield text.replace(f'"{MARK}"', value), path, "odd"
        if isinstance(holder, dict):
            again = json.dumps(path[-1])
            yield text.replace(f'"{MARK}"', f"1, {again}: 1"), path, "never"
        del holder[path[-1]]
        yield json.dumps(marked, indent=1), path, "gone"


def heavy_values() -> Iterator[str]:
    """Yield what takes much more memory than bytes: 16 MB of it, and as much as a load takes."""
    yield from (f"[{unit * (16_700_000 // len(unit))}1]" for unit in HEAVY)
    yield f"[{'{},' * 190_000}1]"
    yield "{" + ",".join(f'"{i}":{i}.5' for i in range(390_000)) + "}"


def whole_texts(data: bytes) -> Iterator[bytes]:
    """Yield what is no document at all, or one in another encoding."""
    text = data.decode()
    yield from (b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"\x80" * 1000)
    yield from (b"[" * 1_000_000, b'{"a":' * 200_000, b"9" * 1_000_000, b'"' + b"a" * 1_000_000)
    yield from (text.encode(code) for code in ("utf-16", "utf-32", "utf-8-sig"))
    for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\0"):
        for place in range(0, len(data), len(data) // 40):
            yield data[:place] + bad + data[place:]

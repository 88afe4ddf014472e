"""What a manifest's bytes may be: seal, format, and JSON that all readers agree on."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gradline
from gradline.errors import PackageError
from gradline.package.manifest import dump_manifest, parse_json, parse_manifest
from gradline.package.strict_json import parse_strict

PACKAGE = Path(__file__).parent.parent / "artifacts" / "orchard" / "1"
DATA = (PACKAGE / "manifest.json").read_bytes()


def document() -> dict[str, Any]:
    found = parse_manifest(DATA)
    del found["seal"]
    return found


def code_of(data: bytes) -> str:
    with pytest.raises(PackageError) as caught:
        parse_manifest(data)
    return caught.value.code


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data + b" ",
        lambda data: data.replace(b'"\n}\n', b'" }\n'),
        lambda data: data.replace(b'"\n}\n', b'"\n}\r\n'),
        lambda data: data.replace(b'"seal": "', b'"seal":  "'),
        lambda data: data[:-70] + data[-70:].upper(),
        lambda data: data.replace(b'"name": "orchard"', b'"name": "orchare"'),
    ],
)
def test_the_seal_stands_in_one_place_and_form(change: Any) -> None:
    assert change(DATA) != DATA
    assert code_of(change(DATA)) == "broken-seal"


def test_what_stands_before_the_seal_is_sealed_whatever_it_is() -> None:
    body = DATA[: DATA.rindex(b'"seal"')].replace(b"{\n", b"{  \n", 1)
    sealed = body + f'"seal": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()
    assert parse_manifest(sealed)["name"] == "orchard"


@pytest.mark.parametrize(
    ("number", "code"),
    [(4, "newer-format"), (3, "newer-format"), (0, "bad-manifest"), (-1, "bad-manifest"),
     (None, "bad-manifest"), (1.0, "bad-manifest"), (True, "bad-manifest"), ("2", "bad-manifest")],
)  # fmt: skip
def test_only_its_own_format_is_read_and_a_newer_one_is_told_so(number: Any, code: str) -> None:
    assert code_of(dump_manifest({**document(), "format": number})) == code


def test_a_newer_format_is_told_so_whatever_its_seal_is() -> None:
    assert code_of(json.dumps({"format": 3}).encode()) == "newer-format"


@pytest.mark.parametrize("more", [-1, 1])
@pytest.mark.parametrize("name", ["model.onnx", "golden.json"])
def test_the_size_of_a_file_is_checked_beside_its_hash(
    more: int, name: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(PACKAGE, tmp_path / "1"))
    changed = document()
    changed["files"][name]["bytes"] += more
    (folder / "manifest.json").write_bytes(dump_manifest(changed))
    with pytest.raises(PackageError) as caught:
        gradline.load(folder)
    assert caught.value.code == "changed-file"
    assert name in str(caught.value)


# JSON


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "a": 1}', "a key twice"),
        ('[{"b": {"a": 1, "b": 2, "a": 3}}]', "a key twice"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e400]", "beyond float64"),
        ("[-1e400]", "beyond float64"),
        (f"[{10**400}]", "beyond float64"),
        ('["\\ud800"]', "surrogates not allowed"),
        ('["\\uDC00"]', "surrogates not allowed"),
        ("[1,]", "cannot be read"),
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_readers_would_take_for_different_things_is_refused(text: str, why: str) -> None:
    with pytest.raises(PackageError, match=why) as caught:
        parse_json(text.encode(), "a.json")
    assert caught.value.code == "not-json"
    assert str(caught.value).startswith("a.json cannot be read as JSON (")


def test_a_whole_surrogate_pair_and_the_largest_number_are_read() -> None:
    assert parse_strict('["\\ud83c\\udf4e", 1.7976931348623157e308]') == [
        "🍎",
        1.7976931348623157e308,
    ]


def test_as_many_values_as_are_allowed_are_read_and_no_more() -> None:
    text = '{"a": [1, 2], "b": {}}'  # two brackets of objects, one of a list, two commas
    assert parse_strict(text, 5) == {"a": [1, 2], "b": {}}
    with pytest.raises(ValueError, match="more than 4 values"):
        parse_strict(text, 4)

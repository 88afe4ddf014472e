"""The manifest: a JSON description of the package, sealed by a hash of its own bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from gradline.errors import PackageError
from gradline.package.graph import FORMATS
from gradline.package.schema import fault
from gradline.package.strict_json import VALUES, parse_strict

#: The files that a package may hold beside the manifest; others are ignored and never read.
FILES = (
    "model.onnx",
    "pipeline.onnx",
    "model.pt",
    "model.pt2",
    "intervals.onnx",
    "golden.json",
    "report.html",
)
#: Says instead of `pipeline.onnx` that its graph would have too many inputs.
TOO_MANY = "too-many-columns"
#: What only gradline's own training can know; absent if `learned_elsewhere`.
OF_TRAINING = (
    "training",
    "metrics",
    "columns",
    "statistics",
    "leverage",
    "intervals",
    "certificates",
)
#: The names that a package may have.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

SEAL = re.compile(rb'"seal": "([0-9a-f]{64})"\n\}\n\Z')
SHA256 = re.compile(r"[0-9a-f]{64}")


def file_record(data: bytes) -> dict[str, Any]:
    """Build the manifest's entry for a file: its SHA-256 and its size in bytes."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def dump_manifest(document: Mapping[str, Any]) -> bytes:
    """Write the manifest's bytes, with the seal as the last member.

    The seal is the SHA-256, in hexadecimal, of all bytes before the first quote of `"seal"`.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    body = text.removesuffix("\n}").encode() + b",\n "
    return body + f'"seal": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def parse_manifest(data: bytes) -> dict[str, Any]:
    """Read a manifest and check its seal and its members."""
    document = parse_json(data, "manifest.json")
    if not isinstance(document, dict):
        raise _broken("it is not an object")
    version = document.get("format")
    if type(version) is int and version > FORMATS[-1]:
        raise PackageError(
            f"manifest.json has format {version}, this gradline reads formats 1 and 2",
            code="newer-format",
            hint="pip install --upgrade gradline",
        )
    seal = SEAL.search(data)
    if seal is None or hashlib.sha256(data[: seal.start()]).hexdigest() != seal[1].decode():
        raise PackageError(
            "manifest.json does not match its seal: it was changed after it was published",
            code="broken-seal",
        )
    _check_members(document)
    return document


def learned_elsewhere(manifest: Mapping[str, Any]) -> bool:
    """Check whether another library learned the model, so that nothing is known of its training."""
    found: bool = manifest.get("origin", {}).get("learned") == "elsewhere"
    return found


def parse_json(data: bytes, what: str, most: int = VALUES) -> Any:
    """Read strict JSON of at most `most` values from the file called `what`."""
    try:
        return parse_strict(data.decode(), most)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{what} cannot be read as JSON ({error})", code="not-json") from error


def _check_members(document: dict[str, Any]) -> None:
    name, schema, files = (document.get(key) for key in ("name", "schema", "files"))
    if type(document.get("format")) is not int or document["format"] not in FORMATS:
        raise _broken("it has no format number")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _broken("its name is not a package name")
    if not isinstance(schema, dict) or schema.get("dtype") not in ("float32", "float64"):
        raise _broken("its schema has no dtype")
    for which in ("features", "targets"):
        names = schema.get(which)
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise _broken(f"its schema has no {which}")
    if not isinstance(schema.get("columns") or [], list):
        raise _broken("its schema's columns are not a list")
    _check_files(document["format"], files, document.get("pipeline"))
    if wrong := fault(document):
        raise _broken(wrong)
    if ("intervals" in document) != ("intervals.onnx" in document["files"]):
        raise _broken("of intervals.onnx and what it says of intervals, one is missing")
    known = [member for member in OF_TRAINING if member in document]
    if known and learned_elsewhere(document):
        raise _broken(f"it was learned elsewhere, but has {known[0]!r}")


def _check_files(version: int, files: Any, pipeline: Any) -> None:
    required, allowed = {"model.onnx", "golden.json"}, set(FILES)
    if version == 1 or pipeline == TOO_MANY:
        allowed.remove("pipeline.onnx")
    else:
        required.add("pipeline.onnx")
    if not isinstance(files, dict) or not required <= set(files) <= allowed:
        raise _broken("its list of files is wrong for a package")
    for record in files.values():
        found = record if isinstance(record, dict) else {}
        sha256, size = found.get("sha256"), found.get("bytes")
        hashed = isinstance(sha256, str) and SHA256.fullmatch(sha256)
        if not hashed or type(size) is not int or size < 0:
            raise _broken("a file has no SHA-256 or no size")


def _broken(what: str) -> PackageError:
    return PackageError(f"manifest.json is not a valid manifest: {what}", code="bad-manifest")

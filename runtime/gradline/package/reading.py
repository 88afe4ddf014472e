"""Read a package: each file once, and use the same bytes that were hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradline.columns.encoding import dump_columns
from gradline.columns.targets import dump_functions
from gradline.errors import InputError, PackageError
from gradline.package.files import BARE_LIMIT, MANIFEST_LIMIT, Package, file_limit, read_file
from gradline.package.golden import Golden
from gradline.package.graph import parse_graph
from gradline.package.manifest import parse_manifest
from gradline.package.versions import Location, locate


def read_package(
    path: str | Path, public_key: str | Path | None = None, name: str | None = None
) -> Package:
    """Read the package at `path` and check everything that needs no computation; see `load`."""
    place = locate(path)
    if place.path.is_file():
        package = _read_bare(place.path, public_key is not None)
    else:
        package = _read_version(place, public_key)
    _check_name(package.graph.name, name, place)
    return package


def _read_bare(path: Path, must_be_signed: bool) -> Package:
    if must_be_signed:
        raise PackageError(
            f"{path} is a bare ONNX file, which has no signature",
            code="unsigned",
            hint="give the package that it belongs to",
        )
    onnx = read_file(
        path, BARE_LIMIT, hint="load the package that it belongs to: its manifest sets the limit"
    )
    try:
        graph = parse_graph(onnx, path.name)
    except PackageError:
        if path.suffix.lower() == ".onnx":
            raise
        raise InputError(
            f"{path} is neither a package nor an ONNX file",
            code="no-package",
            hint="give artifacts/NAME, artifacts/NAME/VERSION or an ONNX file",
        ) from None
    return Package(path, None, onnx, graph, {}, None)


def _read_version(place: Location, public_key: str | Path | None) -> Package:
    data = read_file(place.path / "manifest.json", MANIFEST_LIMIT)
    if public_key is not None:
        from gradline.package.signing import check_signature

        check_signature(place.path, data, public_key)
    manifest = parse_manifest(data)
    onnx = read_member(place.path, manifest, "model.onnx")
    golden = read_member(place.path, manifest, "golden.json")
    graph = parse_graph(onnx)
    schema = {"columns": None, "target_functions": None, **manifest["schema"]}
    schema |= {"name": manifest["name"], "format": str(manifest["format"])}
    found = {
        "name": graph.name,
        "features": graph.features,
        "targets": graph.targets,
        "dtype": str(graph.dtype),
        "columns": dump_columns(graph.columns),
        "target_functions": dump_functions(graph.functions),
        "format": graph.metadata["gradline.format"],
    }
    if any(schema[key] != value for key, value in found.items()):
        raise PackageError(
            "manifest.json and model.onnx name different models, features, targets or dtypes",
            code="contradiction",
        )
    rows = Golden.parse(golden, graph.weights.shape, graph.dtype)
    return Package(place.path, place.version, onnx, graph, manifest, rows)


def _check_name(found: str, asked: str | None, place: Location) -> None:
    expected = place.name if asked is None else asked
    if expected is None or found == expected:
        return
    if asked is None:
        hint = f"rename {place.path.parent} to {found!r}, or give the version itself: {place.path}"
    else:
        hint = f"--expect-name {found!r}, if that is the one you want"
    raise PackageError(
        f"{place.path} holds the package {found!r}, expected {expected!r}",
        code="other-name",
        hint=hint,
    )


def read_manifest(version: Path) -> dict[str, Any]:
    """Read the manifest of a version directory and check its seal; read no other file."""
    return parse_manifest(read_file(version / "manifest.json", MANIFEST_LIMIT))


def check_files(package: Package) -> list[str]:
    """Check size and hash of every file in the manifest; return their names."""
    names = list(package.manifest.get("files", {}))
    for name in names:
        read_member(package.path, package.manifest, name)
    return names


def read_member(version: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """Read one of the manifest's files and check its size and hash."""
    record = manifest["files"][name]
    data = read_file(version / name, min(record["bytes"], file_limit(name, manifest["schema"])))
    if len(data) != record["bytes"] or hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise PackageError(
            f"{name} is not the file that was published: its bytes do not match the manifest",
            code="changed-file",
        )
    return data

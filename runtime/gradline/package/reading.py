"""Read a package: each file once, and use the same bytes that were hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradline.errors import InputError, PackageError, in_quotes
from gradline.package.files import BARE_LIMIT, MANIFEST_LIMIT, Package, file_limit, read_file
from gradline.package.golden import Golden
from gradline.package.graph import Graph, parse_graph
from gradline.package.manifest import parse_manifest
from gradline.package.pipeline import MOST_COLUMNS
from gradline.package.pipeline_file import GRAPH_NAME, check_pipeline
from gradline.package.versions import Location, locate

#: The members of a schema that the graph's metadata repeat.
SCHEMA = ("features", "targets", "dtype", "columns", "terms", "target_functions")


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
        if GRAPH_NAME.encode() in onnx:
            raise InputError(
                f"{path} takes a table's raw columns and is loaded with its package only",
                code="no-package",
                hint=f"give {path.parent}, or {path.parent / 'model.onnx'}",
            ) from None
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
    told = (manifest["format"], manifest["name"])
    schema = {key: manifest["schema"].get(key) for key in SCHEMA}
    if told != (graph.format, graph.name) or schema != dict.fromkeys(SCHEMA) | graph.schema():
        raise PackageError(
            "manifest.json and model.onnx name different models, features, targets or dtypes",
            code="contradiction",
        )
    planned = graph.plan if graph.format == 2 else None
    rows = Golden.parse(golden, graph.weights.shape, graph.dtype, planned)
    pipeline = _read_pipeline(place.path, manifest, graph) if planned else None
    intervals = None
    if "intervals.onnx" in manifest["files"]:
        intervals = read_member(place.path, manifest, "intervals.onnx")
    return Package(place.path, place.version, onnx, graph, manifest, rows, pipeline, intervals)


def _read_pipeline(version: Path, manifest: Mapping[str, Any], graph: Graph) -> bytes | None:
    """Read pipeline.onnx and check that it is the very graph of the columns and terms."""
    if (len(graph.plan.columns) > MOST_COLUMNS) != ("pipeline.onnx" not in manifest["files"]):
        raise PackageError(
            f"pipeline.onnx is there for up to {MOST_COLUMNS} columns, this package has "
            f"{len(graph.plan.columns)}",
            code="bad-manifest",
        )
    if "pipeline.onnx" not in manifest["files"]:
        return None
    data = read_member(version, manifest, "pipeline.onnx")
    check_pipeline(data, graph)
    return data


def _check_name(found: str, asked: str | None, place: Location) -> None:
    expected = place.name if asked is None else asked
    if expected is None or found == expected:
        return
    if asked is None:
        hint = f"rename {place.path.parent} to {found!r}, or give the version itself: {place.path}"
    else:
        hint = f"--expect-name {in_quotes(found)}, if that is the one you want"
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

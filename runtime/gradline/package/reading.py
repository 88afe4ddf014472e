"""Reading a package: each file once, hashed, and used from the very bytes that were hashed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gradline.columns.encoding import dump_columns
from gradline.errors import InputError, PackageError
from gradline.package.files import AGAIN, Package, read_file, too_large
from gradline.package.golden import Golden
from gradline.package.graph import parse_graph
from gradline.package.limits import BARE_LIMIT, MANIFEST_LIMIT, file_limit
from gradline.package.manifest import parse_manifest
from gradline.package.versions import Location, locate

__all__ = ["check_files", "read_manifest", "read_member", "read_package"]


def read_package(
    path: str | Path, public_key: str | Path | None = None, name: str | None = None
) -> Package:
    """Return the package at `path`, checked as far as can be without computing anything.

    Args:
        path: artifacts/<name>, artifacts/<name>/<version>, or a bare ONNX file.
        public_key: A PEM file; where given, the package must bear a signature by its owner.
        name: The name that the package must have; by default <name> if `path` is
            artifacts/<name>, and any name if `path` is a version or a file.

    Raises:
        InputError: Where nothing is there, or the key is none.
        PackageError: If a file is missing, changed, or does not belong in a package, if the
            signature is missing or by another key, or if the package has another name.
    """
    place = locate(path)
    if place.path.is_file():
        if public_key is not None:
            raise PackageError(
                f"{place.path} is a bare ONNX file: it bears no signature",
                code="unsigned",
                hint="give the package that it belongs to",
            )
        onnx = read_file(
            place.path, BARE_LIMIT, hint="load the package it belongs to, whose manifest says more"
        )
        if place.path.suffix.lower() != ".onnx" and not _is_graph(onnx):
            raise InputError(
                f"{place.path} is neither a package nor an ONNX file",
                code="no-package",
                hint="give artifacts/NAME, artifacts/NAME/VERSION or an ONNX file",
            )
        graph = parse_graph(onnx, place.path.name)
        _check_name(graph.name, name, place)
        return Package(place.path, None, onnx, graph, {}, None)
    written = read_file(place.path / "manifest.json", MANIFEST_LIMIT)
    if public_key is not None:
        from gradline.package.signing import check_signature

        check_signature(place.path, written, public_key)
    manifest = parse_manifest(written)
    onnx, golden = (_checked(place.path, manifest, file) for file in ("model.onnx", "golden.json"))
    graph = parse_graph(onnx)
    schema = manifest["schema"]
    told = (manifest["name"], schema["features"], schema["targets"], schema["dtype"])
    columns = dump_columns(graph.columns)
    found = (graph.name, graph.features, graph.targets, str(graph.dtype))
    if told != found or schema.get("columns") != columns:
        raise PackageError(
            "manifest.json and model.onnx name different models, features, targets or dtypes",
            code="contradiction",
            hint=AGAIN,
        )
    _check_name(graph.name, name, place)
    rows = Golden.parse(golden, graph.weights.shape, graph.dtype)
    return Package(place.path, place.version, onnx, graph, manifest, rows)


def _check_name(found: str, asked: str | None, place: Location) -> None:
    """Check that a package has the name that the caller asked for."""
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


def _is_graph(onnx: bytes) -> bool:
    try:
        parse_graph(onnx)
    except PackageError:
        return False
    return True


def read_manifest(version: Path) -> dict[str, Any]:
    """Return the manifest of a version directory, its seal checked, and nothing else.

    Raises:
        PackageError: Where it is missing, changed, or no manifest.
    """
    return parse_manifest(read_file(version / "manifest.json", MANIFEST_LIMIT))


def check_files(package: Package) -> list[str]:
    """Return the names of all files in the manifest, each one's size and hash checked.

    Raises:
        PackageError: Naming the file that is missing or changed.
    """
    names = list(package.manifest.get("files", {}))
    for name in names:
        read_member(package, name)
    return names


def read_member(package: Package, name: str) -> bytes:
    """Return the bytes of one of the manifest's files, its size and hash checked.

    Raises:
        PackageError: Where it is missing or changed.
    """
    return _checked(package.path, package.manifest, name)


def _checked(folder: Path, manifest: dict[str, Any], name: str) -> bytes:
    record = manifest["files"][name]
    limit = file_limit(name, manifest["schema"])
    if record["bytes"] > limit:
        raise too_large(name, limit)
    data = read_file(folder / name, record["bytes"])
    if len(data) != record["bytes"] or hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise PackageError(
            f"{name} is not the file that was published: its bytes do not match the manifest",
            code="changed-file",
            hint=AGAIN,
        )
    return data

"""Find packages in artifacts/<name>/<version>/ with the versions 1, 2, 3 and so on.

The version is only the directory's name; no file inside holds it. Beside the versions, the file
`pinned` holds the number to load instead of the newest, and <version>.sig is a signature.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gradline.errors import InputError, PackageError

PIN = "pinned"
# A Path keeps one slash of s3://bucket/model; one letter before the colon is a Windows drive.
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]+")
LAST_VERSION = 2**63 - 1  # other servers store versions in 64 bits


@dataclass(frozen=True)
class Location:
    """The place of a model."""

    path: Path  # the version directory, or the bare ONNX file
    version: int | None  # the directory's number, if its name is one
    name: str | None = None  # if artifacts/<name> was asked for; a version may be a mount or copy


def published_versions(folder: Path) -> list[int]:
    """List the version numbers under artifacts/<name>, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if _is_version(p.name) and p.is_dir())


def locate(path: str | Path) -> Location:
    """Find a version: artifacts/<name> (pinned or newest), artifacts/<name>/<version> or a file."""
    path = Path(path)
    if path.is_file():
        return Location(path, None)
    if not path.exists():
        if found := ADDRESS.match(str(path)):
            address = f"{found[1]}://{str(path)[found.end() :]}"
            raise InputError(
                f"{address} is an address: packages can only be loaded from folders",
                code="no-package",
                hint="copy the package to this machine and load the copy",
            )
        raise InputError(f"no package at {path}", code="no-package", hint=_neighbours(path.parent))
    if any((path / file).exists() for file in ("manifest.json", "model.onnx")):
        name = path.resolve().name
        return Location(path, int(name) if _is_version(name) else None)
    versions = published_versions(path)
    if not versions:
        raise InputError(f"no package in {path}", code="no-package", hint=_neighbours(path))
    version = pinned_version(path, versions) or versions[-1]
    return Location(path / str(version), version, folder_name(path))


def folder_name(folder: Path) -> str:
    """Return the name in artifacts/<name>; for a symbolic link the link's own name.

    Otherwise a link to another package's folder could replace this package unnoticed.
    """
    return Path(os.path.abspath(folder)).name  # resolve() would follow links


def _is_version(name: str) -> bool:
    digits = name.isascii() and name.isdigit() and not name.startswith("0")
    return digits and len(name) <= len(str(LAST_VERSION)) and int(name) <= LAST_VERSION


def pinned_version(folder: Path, versions: list[int]) -> int | None:
    """Read which of the published versions artifacts/<name> is pinned to, or None."""
    pin = folder / PIN
    if not os.path.lexists(pin):
        return None
    if not pin.is_file():  # reading a pipe would never end
        raise PackageError(
            f"{pin} is not a file",
            code="bad-pin",
            hint="remove it, or make it a text file with a version number",
        )
    try:
        with pin.open("rb") as file:
            text = file.read(1024).decode(errors="replace").strip()
    except OSError as error:
        raise PackageError(
            f"{pin} cannot be read: {error.strerror}", code="bad-pin", hint=""
        ) from error
    if not _is_version(text) or int(text) not in versions:
        raise PackageError(
            f"{pin} names version {text!r}, which is not published",
            code="bad-pin",
            hint=f"published: {', '.join(map(str, versions))}",
        )
    return int(text)


def _neighbours(folder: Path) -> str:
    packages = sorted(
        str(p) for p in folder.glob("*") if published_versions(p) or (p / "manifest.json").is_file()
    )
    if not packages:
        return "give artifacts/NAME, artifacts/NAME/VERSION or an ONNX file"
    return "available: " + ", ".join(packages[:8])

